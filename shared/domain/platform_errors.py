"""Explain the platform's error codes: what each means, and what an administrator does about it.

See platform.md#error-body, #wrapped-errors. docs/runbook.md shows the same table.

The platform wraps errors in others (`InvalidOpenApiFlow` quotes another code in its message),
translates messages into the language of the environment, and returns undocumented codes. So an
error is recognized by its code, by a known code in its message, or by words in its message.
"""

import re
from dataclasses import dataclass

#: The user who turns a flow on, or names a connection in a reference, may not use that connection.
CONNECTION_REFUSED = "ConnectionAuthorizationFailed"
#: An application turned a flow on as itself.
NO_USER_DETAILS = "MissingUserDetails"
#: The app's own code: the service account is a co-owner, and may not (yet) read the URL.
NO_CO_OWNER = "NoCoOwner"
#: The principal already has more rights than the new role.
PERMISSION_DOWNGRADE = "PermissionDowngradeNotAllowed"
#: The app's own code: the flow service answers without the definition
#: (platform.md#hidden-definitions).
DEFINITION_NOT_SHOWN = "DefinitionNotShown"
#: Dataverse: a text is longer than its column.
TOO_LONG = "0x80044331"
#: The app's own code: an operation names a connection reference that the platform does not find.
REFERENCE_NOT_FOUND = "ConnectionReferenceNotFound"
#: Dataverse: an active row is not published, among other causes. The error is transient
#: (platform.md#unpublished-rows).
NOT_PUBLISHED = "0x80040203"
#: Azure Resource Manager: a read-only lock rejects the write.
SCOPE_LOCKED = "ScopeLocked"
#: Azure Resource Manager: an Azure Policy assignment denies the write.
DENIED_BY_POLICY = "RequestDisallowedByPolicy"
#: Dataverse: the organization is disabled, as without its key (platform.md#key-loss). The flow
#: service quotes it.
ORGANIZATION_DISABLED = "0x8004a104"
#: Codes for: the app may not act on behalf of the owner (platform.md#impersonation).
NOT_ON_BEHALF = frozenset({"0x80040220", "0x80042f09", "ImpersonationNotAllowed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformErrorCode:
    """An error code of the platform, with its meaning and what to do."""

    code: str
    #: Other codes with the same meaning, such as reasons why the platform suspends a flow
    #: (platform.md#suspension-reasons).
    aliases: tuple[str, ...] = ()
    meaning: str
    fix: str
    #: A pattern for the message, for services that return another code or none.
    message_patterns: str = ""
    #: False: no source documents the code; docs/verify-on-a-real-tenant.md lists it.
    is_documented: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.code, *self.aliases)


REFUSALS = (
    PlatformErrorCode(
        code="MissingAdequateQuotaPolicy",
        aliases=("MissingPremiumLicense",),
        meaning="the owner has no licence for a premium trigger or action",
        fix="Assign the owner a Premium licence, or the flow a Process licence; then retry.",
    ),
    PlatformErrorCode(
        code=NO_USER_DETAILS,
        aliases=("BapListServicePlansFailed",),
        meaning="the app turned the flow on, and an application has no licence",
        fix="Have the flow's owner turn it on once in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="NonCompliantServicePrincipalFlow",
        meaning="a flow that an application owns has no licence",
        fix="Assign the flow a Process licence, then retry.",
    ),
    PlatformErrorCode(
        code=CONNECTION_REFUSED,
        meaning="neither the flow's owner nor the app may use a connection of the flow",
        fix=(
            "Ask the connection's owner to share it ('Can use') with the flow's owner or the app, "
            "or to turn the copy on once. Then retry."
        ),
        message_patterns="cannot be used to activate this flow",
    ),
    PlatformErrorCode(
        code=NO_CO_OWNER,
        meaning="the service account may not read the flow's URL although it is a co-owner",
        fix="Check that it has a licence and is a user of the environment, then retry.",
        message_patterns="under Api 'shared_logicflows'",
        is_documented=False,
    ),
    PlatformErrorCode(
        code=PERMISSION_DOWNGRADE,
        meaning="an account that is to get a role on the flow has more rights already",
        fix="Retry. If it is rejected again, remove that account's role (Share), then retry.",
    ),
    PlatformErrorCode(
        code="XrmConnectionReferenceMissingConnection",
        meaning="a connection reference of the flow has no connection",
        fix="Choose one in Power Automate (Solutions, Connection references), then retry.",
    ),
    PlatformErrorCode(
        code="XrmEnvironmentVariableAttributeNotFound",
        meaning="an environment variable that the flow reads has no value",
        fix="Give it a value, then retry.",
    ),
    PlatformErrorCode(
        code="DlpViolation",
        aliases=("CompanyDlpViolation", "ApiPolicyEndpointViolation"),
        meaning="a data policy forbids a connector of the flow, an endpoint, or a combination",
        fix="Change the data policy, exempt the environment, or change the flow; then retry.",
        message_patterns=r"admin data policy|admin API policies",
    ),
    PlatformErrorCode(
        code="ListCallbackUrlOperationBlocked",
        meaning="the platform returns no URL for this trigger",
        fix="Roll this job back, let the callers call a flow with an HTTP trigger, and "
        "exclude this flow.",
    ),
    PlatformErrorCode(
        code="WorkflowTriggerIsNotEnabled",
        meaning="the flow is off, or was never on, so its trigger has no URL",
        fix="Turn the flow on in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="FlowCountLimitExceeded",
        meaning="the owner has the largest number of flows outside solutions (600)",
        fix="Move flows of the owner into a solution, or delete some; then retry.",
        message_patterns=r"limit of \d+ flows|(maximum|allowed) number of flows",
        is_documented=False,
    ),
    PlatformErrorCode(
        code="ChildFlowNeverPublished",
        meaning="a child flow was never on, or was deleted",
        fix="Turn the child flow on once, or its copy if it was copied. If it was deleted, remove "
        "the call to it from the original; then retry.",
    ),
    PlatformErrorCode(
        code="CannotStartUnpublishedSolutionFlow",
        meaning="a solution flow was never published",
        fix="Turn the flow on in its solution, or publish all customizations; then retry.",
    ),
    PlatformErrorCode(
        code="ChildFlowUnsupportedForInvokerConnections",
        meaning="a child flow uses the connections of the user who runs it",
        fix="In its run-only settings choose 'Use this connection' for each, then retry.",
    ),
    PlatformErrorCode(
        code="WorkflowRunActionInputsMissingProperty",
        aliases=("WorkflowRunActionInputsInvalidProperty",),
        meaning="the platform rejects an action in the older and in the newer connector shape",
        fix="Correct the action that the message names and save the original, then retry.",
    ),
    PlatformErrorCode(
        code=REFERENCE_NOT_FOUND,
        meaning="an operation names a connection reference that the platform does not find",
        fix="Choose the flow's connections again in Power Automate, then retry. If that "
        "fails, export, delete and import it; then retry.",
        is_documented=False,
    ),
    PlatformErrorCode(
        code=NOT_PUBLISHED,
        meaning="the flow's active row is not published",
        fix="Turn the flow off and on, or publish all customizations of its solution; then retry.",
    ),
    PlatformErrorCode(
        code="InvalidTemplate",
        aliases=("InvalidOpenApiFlow",),
        meaning="the platform does not accept this definition any longer",
        fix="Correct what the flow checker shows and save the original, then retry.",
    ),
    PlatformErrorCode(
        code=DEFINITION_NOT_SHOWN,
        meaning="the flow service does not show the definition to an administrator",
        fix="Sign the service account in and set the approval policy to required or automatic, "
        "or add the flow to a solution; then retry.",
    ),
    PlatformErrorCode(
        code="EnvironmentAccessDenied",
        meaning="the app may not administer the environment's flows",
        fix="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code="UserMissingRequiredPermission",
        meaning="the app is not registered as an administrator of Power Platform",
        fix="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code=TOO_LONG,
        meaning="a text is too long for the Dataverse column that the message names",
        fix="Give the original a shorter name, then retry.",
    ),
    PlatformErrorCode(
        code="MacroRegionDerivationFailed",
        meaning="the flow service cannot find the region of the environment",
        fix="Report the message and the environment's `runtimeEndpoints` to the project, then "
        "retry.",
    ),
    PlatformErrorCode(
        code="InsufficientCdsPermissions",
        meaning="the service account or the app has no security role in the environment",
        fix="Give the service account the role Environment Maker and the app System "
        "Administrator, then retry.",
    ),
    PlatformErrorCode(
        code="0x80072560",
        meaning="the app or the flow's owner is not a user of the environment",
        fix="Add the app as an application user (System Administrator), or give the flow an "
        "owner who is a user; then retry.",
    ),
    PlatformErrorCode(
        code="0x80040220",
        meaning="the app or the flow's owner lacks the Dataverse privilege that the message names",
        fix="Give the app the role System Administrator and the owner Environment "
        "Maker, then retry.",
    ),
    PlatformErrorCode(
        code="ApplicationTokenNotSupported",
        meaning="only a person may do this, not an application",
        fix="Report the operation to the project. Until then, a person makes this copy.",
        message_patterns=r"not (available|supported|allowed) "
        r"(to|for) (application|service principal)",
        is_documented=False,
    ),
    PlatformErrorCode(
        code=SCOPE_LOCKED,
        meaning="a read-only lock in Azure rejects every change of a caller",
        fix="Remove the lock that the message names, then retry.",
    ),
    PlatformErrorCode(
        code=DENIED_BY_POLICY,
        meaning="an Azure Policy assignment denies the change of a caller",
        fix="Exempt the resource from the policy assignment that the message names, then retry.",
    ),
    PlatformErrorCode(
        code=ORGANIZATION_DISABLED,
        meaning="the environment is disabled, for example because its key cannot be used",
        fix="Restore the key, or end what disabled the environment (admin center). The jobs then "
        "continue automatically.",
    ),
    PlatformErrorCode(
        code="AuthenticationFailed",
        aliases=("InvalidAuthenticationToken", "ExpiredAuthenticationToken", "Http401"),
        meaning="a service does not accept the app's access token, or there is none",
        fix="Check that the managed identity in CMK_CLIENT_ID exists, then retry.",
    ),
)
OTHER = PlatformErrorCode(
    code="other",
    meaning="any other code: the platform's message says what it rejects",
    fix="Fix what the message names in the flow, its connections or the app's rights; then retry.",
)

_BY_CODE = {code: error for error in REFUSALS for code in error.codes}
#: Codes that do not say what is wrong: the message quotes another code or describes it.
_UNSPECIFIC_CODES = frozenset(
    {"InvalidOpenApiFlow", "InvalidTemplate", "XrmApiRequestFailed"}
    | {CONNECTION_REFUSED}  # for a connection and for a flow (platform.md#denied-connections)
)
_NOT_FOUND = re.compile(r"connection reference '[^']*' could not be found for the operation", re.I)
_WORD = re.compile(r"\w+")
#: How the platform names a connection: by its name, or by its resource id
#: (platform.md#activation-check).
_CONNECTION = re.compile(r"[Cc]onnection '(?:[^']*/)?(?P<name>[^'/]+)'(?: to '(?P<of>[^']+)')?")
_LOCKED = re.compile(r"locked: *'(?P<scope>[^']+)'", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"/(?:subscriptions|providers)/[^\s'\"]*/policyAssignments/[^\s'\",;)]+", re.IGNORECASE
)
_ID = re.compile(r"'(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", re.IGNORECASE)


def find_error_code(code: str, message: str = "") -> PlatformErrorCode:
    """Return the known error for this code and message, or `OTHER` if there is none."""
    if _NOT_FOUND.search(message):  # its code is the same as for an older format
        return _BY_CODE[REFERENCE_NOT_FOUND]
    if code in _BY_CODE and code not in _UNSPECIFIC_CODES:
        return _BY_CODE[code]
    for word in _WORD.findall(message):
        if word in _BY_CODE and word not in _UNSPECIFIC_CODES:
            return _BY_CODE[word]
    by_words = (
        one
        for one in REFUSALS
        if one.message_patterns and re.search(one.message_patterns, message, re.I)
    )
    return next(by_words, _BY_CODE.get(code, OTHER))


def find_error_fix(code: str, message: str = "") -> str:
    """Return what to do about an error with this code and message."""
    return find_error_code(code, message).fix


def is_temporary_error(code: str) -> bool:
    """Return whether a later try may succeed after an error with this code."""
    return code == NOT_PUBLISHED


def find_most_specific_code(code: str, message: str = "") -> str:
    """Return the error's code, or the code that its message describes if that is more specific."""
    error = find_error_code(code, message)
    return code if error is OTHER or code in error.codes else error.code


def parse_connection(message: str) -> tuple[str, str]:
    """Return the connection and the connector that an error message names, or "" for each."""
    named = _CONNECTION.search(message)
    return (named["name"], named["of"] or "") if named else ("", "")


def parse_locked_scope(message: str) -> str:
    """Return the id of the locked resource, group or subscription that a message names, or ""."""
    named = _LOCKED.search(message)
    return named["scope"] if named else ""


def parse_policy_assignments(message: str) -> list[str]:
    """Return the ids of the policy assignments that a message names."""
    return [*dict.fromkeys(_ASSIGNMENT.findall(message))]


def parse_quoted_id(message: str) -> str:
    """Return the first quoted id in a message, in lower case, or "" if there is none."""
    named = _ID.search(message)
    return named["id"].lower() if named else ""
