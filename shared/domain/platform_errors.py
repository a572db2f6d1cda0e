"""What each refusal of the platform means and what an administrator does about it.

See platform.md#error-body, #wrapped-errors. docs/runbook.md shows the same table. The platform
wraps errors in others (`InvalidOpenApiFlow` quotes the code of what is wrong inside its message),
writes messages in the language of the environment, and has refusals whose code no source publishes.
So a refusal is known by its code, by a known code that its message quotes, or by the message's
words.
"""

import re
from dataclasses import dataclass

#: Whoever turns a flow on, or names a connection in a reference, has to be allowed to use it.
CONNECTION_REFUSED = "ConnectionAuthorizationFailed"
#: An application turned a flow on as itself.
NO_USER_DETAILS = "MissingUserDetails"
#: Our own name: the operator is a co-owner, and may not ask for the URL (yet).
NO_CO_OWNER = "NoCoOwner"
#: Whoever is given a role has more rights already.
PERMISSION_DOWNGRADE = "PermissionDowngradeNotAllowed"
#: The flow service answers, and leaves the definition out (platform.md#hidden-definitions).
DEFINITION_NOT_SHOWN = "DefinitionNotShown"
#: Dataverse: a text is longer than its column takes.
TOO_LONG = "0x80044331"
#: Our own name: an operation names a connection reference that the platform does not find.
REFERENCE_NOT_FOUND = "ConnectionReferenceNotFound"
#: Dataverse: an active row that is not published, among other things. It passes
#: (platform.md#unpublished-rows).
NOT_PUBLISHED = "0x80040203"
#: Codes by which the platform says that the app may not act for the owner
#: (platform.md#impersonation).
NOT_ON_BEHALF = frozenset({"0x80040220", "0x80042f09", "ImpersonationNotAllowed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformErrorCode:
    """One kind of refusal."""

    code: str
    #: Other codes for the same, such as reasons why the platform suspends a flow
    #: (platform.md#suspension-reasons).
    aliases: tuple[str, ...] = ()
    meaning: str
    instruction: str
    #: Words of the message, for services that give another code, or none.
    message_patterns: str = ""
    #: False: no source publishes the code; docs/verify-on-a-real-tenant.md has a line for it.
    is_documented: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        """Return all codes."""
        return (self.code, *self.aliases)


REFUSALS = (
    PlatformErrorCode(
        code="MissingAdequateQuotaPolicy",
        aliases=("MissingPremiumLicense",),
        meaning="the owner has no licence for a premium trigger or action",
        instruction="Assign the owner a Power Automate Premium licence, or the flow a Process "
        "licence; then retry.",
    ),
    PlatformErrorCode(
        code=NO_USER_DETAILS,
        aliases=("BapListServicePlansFailed",),
        meaning="the app turned the flow on as itself, and an application has no licence",
        instruction="Have the flow's owner turn it on once in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="NonCompliantServicePrincipalFlow",
        meaning="a flow that an application owns has no licence",
        instruction="Assign the flow a Process licence, then retry.",
    ),
    PlatformErrorCode(
        code=CONNECTION_REFUSED,
        meaning="neither the flow's owner nor the app may use a connection of the flow",
        instruction="Have the connection's owner share it ('Can use') with the flow's owner or "
        "the app, or turn the copy on once; then retry.",
        message_patterns="cannot be used to activate this flow",
    ),
    PlatformErrorCode(
        code=NO_CO_OWNER,
        meaning="the service account may not read the flow's URL although it is a co-owner",
        instruction="Check that the service account has a licence and is a user of the "
        "environment, then retry.",
        message_patterns="under Api 'shared_logicflows'",
        is_documented=False,
    ),
    PlatformErrorCode(
        code=PERMISSION_DOWNGRADE,
        meaning="an account that is to get a role on the flow has more rights already",
        instruction="Retry. If it is rejected again, remove that account's role in Power "
        "Automate (Share), then retry.",
    ),
    PlatformErrorCode(
        code="XrmConnectionReferenceMissingConnection",
        meaning="a connection reference of the flow has no connection",
        instruction="Choose a connection for the reference in Power Automate (Solutions, "
        "Connection references), then retry.",
    ),
    PlatformErrorCode(
        code="XrmEnvironmentVariableAttributeNotFound",
        meaning="an environment variable that the flow reads has no value",
        instruction="Give the environment variable a value, then retry.",
    ),
    PlatformErrorCode(
        code="DlpViolation",
        aliases=("CompanyDlpViolation", "ApiPolicyEndpointViolation"),
        meaning="a data policy forbids a connector of the flow, an address, or a combination",
        instruction="Change the data policy, exempt the environment, or change the flow; then "
        "retry.",
        message_patterns=r"admin data policy|admin API policies",
    ),
    PlatformErrorCode(
        code="ListCallbackUrlOperationBlocked",
        meaning="the platform gives no URL for this trigger",
        instruction="Roll this job back, have the callers call a flow with an HTTP trigger, and "
        "exclude this flow.",
    ),
    PlatformErrorCode(
        code="WorkflowTriggerIsNotEnabled",
        meaning="the flow is off, or was never on, so its trigger has no URL",
        instruction="Turn the flow on in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="FlowCountLimitExceeded",
        meaning="the owner has the largest number of flows outside solutions (600)",
        instruction="Move flows of the owner into a solution, or delete some; then retry.",
        message_patterns=r"limit of \d+ flows|(maximum|allowed) number of flows",
        is_documented=False,
    ),
    PlatformErrorCode(
        code="ChildFlowNeverPublished",
        meaning="a child flow was never on, or was deleted",
        instruction="Turn the child flow on once (if it was copied: its copy), or remove the "
        "call from the original; then retry.",
    ),
    PlatformErrorCode(
        code="CannotStartUnpublishedSolutionFlow",
        meaning="a solution flow was never published",
        instruction="Turn the flow on in its solution, or publish all customizations; then retry.",
    ),
    PlatformErrorCode(
        code="ChildFlowUnsupportedForInvokerConnections",
        meaning="a child flow uses the connections of whoever runs it",
        instruction="In the child flow's run-only settings choose 'Use this connection' for each "
        "connection, then retry.",
    ),
    PlatformErrorCode(
        code="WorkflowRunActionInputsMissingProperty",
        aliases=("WorkflowRunActionInputsInvalidProperty",),
        meaning="the platform rejects an action in the older and in the newer connector shape",
        instruction="In the designer, correct the action that the message names and save the "
        "original, then retry.",
    ),
    PlatformErrorCode(
        code=REFERENCE_NOT_FOUND,
        meaning="an operation names a connection reference that the platform does not find",
        instruction="Choose the flow's connections again in Power Automate, then retry. If it "
        "still cannot be saved, export it, delete it and import it; then retry.",
        is_documented=False,
    ),
    PlatformErrorCode(
        code=NOT_PUBLISHED,
        meaning="the platform does not save the flow now: its active row is not published",
        instruction="Turn the flow off and on in Power Automate, or publish all customizations "
        "of its solution; then retry.",
    ),
    PlatformErrorCode(
        code="InvalidTemplate",
        aliases=("InvalidOpenApiFlow",),
        meaning="the platform does not accept this definition any longer",
        instruction="In the designer, correct what the flow checker shows and save the original, "
        "then retry.",
    ),
    PlatformErrorCode(
        code=DEFINITION_NOT_SHOWN,
        meaning="the flow service does not show the definition to an administrator",
        instruction="Sign the service account in and set the environment's mode to required "
        "or automatic, or add the flow to a solution; then retry.",
    ),
    PlatformErrorCode(
        code="EnvironmentAccessDenied",
        meaning="the app may not administer the environment's flows",
        instruction="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code="UserMissingRequiredPermission",
        meaning="the app is not registered as an administrator of Power Platform",
        instruction="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code=TOO_LONG,
        meaning="a text is too long for the Dataverse column that the message names",
        instruction="Give the original a shorter name, then retry.",
    ),
    PlatformErrorCode(
        code="MacroRegionDerivationFailed",
        meaning="the flow service cannot find the region of the environment",
        instruction="Report the message and the environment's `runtimeEndpoints` (admin API) to "
        "the project, then retry.",
    ),
    PlatformErrorCode(
        code="InsufficientCdsPermissions",
        meaning="the service account or the app has no security role in the environment",
        instruction="Give the service account the role Environment Maker and the app System "
        "Administrator, then retry.",
    ),
    PlatformErrorCode(
        code="0x80072560",
        meaning="the app or the flow's owner is no user of the environment",
        instruction="Add the app as an application user with the role System Administrator, or "
        "give the flow an owner who is a user; then retry.",
    ),
    PlatformErrorCode(
        code="0x80040220",
        meaning="the app or the flow's owner lacks the Dataverse privilege that the message names",
        instruction="Give the app the role System Administrator and the owner Environment "
        "Maker, then retry.",
    ),
    PlatformErrorCode(
        code="ApplicationTokenNotSupported",
        meaning="only a person may do this, not an application",
        instruction="Report the operation to the project. Until then, a person makes this copy.",
        message_patterns=r"not (available|supported|allowed) "
        r"(to|for) (application|service principal)",
        is_documented=False,
    ),
    PlatformErrorCode(
        code="AuthenticationFailed",
        aliases=("InvalidAuthenticationToken", "ExpiredAuthenticationToken", "Http401"),
        meaning="a service does not accept the app's access token, or there is none",
        instruction="Check that the app's managed identity exists and is the one in "
        "CMK_CLIENT_ID, then retry.",
    ),
)
OTHER = PlatformErrorCode(
    code="other",
    meaning="any other code: the platform's message says what it rejects",
    instruction="Fix what the message names in the flow, its connections or the app's rights; "
    "then retry.",
)

_BY_CODE = {code: refusal for refusal in REFUSALS for code in refusal.codes}
#: Codes that leave it to the message what is wrong: it quotes another code, or says it in words.
_VAGUE = frozenset(
    {"InvalidOpenApiFlow", "InvalidTemplate", "XrmApiRequestFailed"}
    | {CONNECTION_REFUSED}  # of a connection, and of a flow (platform.md#denied-connections)
)
_NOT_FOUND = re.compile(r"connection reference '[^']*' could not be found for the operation", re.I)
_WORD = re.compile(r"\w+")
#: How the platform names a connection: bare, or by its resource id (platform.md#activation-check).
_CONNECTION = re.compile(r"[Cc]onnection '(?:[^']*/)?(?P<name>[^'/]+)'(?: to '(?P<of>[^']+)')?")
_ID = re.compile(r"'(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", re.IGNORECASE)


def find_error_code(code: str, message: str = "") -> PlatformErrorCode:
    """Return the kind of a refusal with this code and text; `OTHER` where it is none of ours."""
    if _NOT_FOUND.search(message):  # its code is that of an older shape
        return _BY_CODE[REFERENCE_NOT_FOUND]
    if code in _BY_CODE and code not in _VAGUE:
        return _BY_CODE[code]
    for word in _WORD.findall(message):
        if word in _BY_CODE and word not in _VAGUE:
            return _BY_CODE[word]
    by_words = (
        one
        for one in REFUSALS
        if one.message_patterns and re.search(one.message_patterns, message, re.I)
    )
    return next(by_words, _BY_CODE.get(code, OTHER))


def instruction_for(code: str, message: str = "") -> str:
    """Return what an administrator can do about a refusal with this code and text."""
    return find_error_code(code, message).instruction


def is_passing(code: str) -> bool:
    """Say whether the platform accepts later what it refuses with this code."""
    return code == NOT_PUBLISHED


def most_specific_code(code: str, message: str = "") -> str:
    """Return the code that says most: the platform's own, or what its message is about."""
    refusal = find_error_code(code, message)
    return code if refusal is OTHER or code in refusal.codes else refusal.code


def parse_connection(message: str) -> tuple[str, str]:
    """Return the connection that a refusal names and its connector; empty where it does not."""
    named = _CONNECTION.search(message)
    return (named["name"], named["of"] or "") if named else ("", "")


def parse_quoted_id(message: str) -> str:
    """Return the first id in quotes of a message, in lower case; empty if there is none."""
    named = _ID.search(message)
    return named["id"].lower() if named else ""
