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
    means: str
    instruction: str
    #: Words of the message, for services that give another code, or none.
    words: str = ""
    #: False: no source publishes the code; docs/verify-on-a-real-tenant.md has a line for it.
    is_published: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        """Return all codes."""
        return (self.code, *self.aliases)


REFUSALS = (
    PlatformErrorCode(
        code="MissingAdequateQuotaPolicy",
        aliases=("MissingPremiumLicense",),
        means="the owner has no licence for a premium trigger or action",
        instruction="Assign the owner a Power Automate Premium (or the flow a Process) licence, "
        "then retry.",
    ),
    PlatformErrorCode(
        code=NO_USER_DETAILS,
        aliases=("BapListServicePlansFailed",),
        means="the app turned the flow on as itself, and an application has no licence to look up",
        instruction="Have the flow's owner turn it on once in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="NonCompliantServicePrincipalFlow",
        means="a flow that an application owns has no licence of its own",
        instruction="Assign the flow a Process licence, then retry.",
    ),
    PlatformErrorCode(
        code=CONNECTION_REFUSED,
        means="neither the flow's owner nor the app may use a connection of the flow",
        instruction="Have the connection's owner share it ('Can use') with the flow's owner or "
        "the app, or turn the copy on once; then retry.",
        words="cannot be used to activate this flow",
    ),
    PlatformErrorCode(
        code=NO_CO_OWNER,
        means="the operator may not ask for the flow's URL, although it was made a co-owner",
        instruction="The app has waited for the right to arrive. See that the operator has a "
        "licence and is a user of the environment, then retry.",
        words="under Api 'shared_logicflows'",
        is_published=False,
    ),
    PlatformErrorCode(
        code=PERMISSION_DOWNGRADE,
        means="whoever is to be given a role on the flow has more rights on it already",
        instruction="Nothing has to be given: retry. If it is refused again, take that account's "
        "role on the flow away in Power Automate (Share), then retry.",
    ),
    PlatformErrorCode(
        code="XrmConnectionReferenceMissingConnection",
        means="a connection reference of the flow has no connection",
        instruction="Choose a connection for the reference in Power Automate (Solutions, "
        "Connection references), then retry.",
    ),
    PlatformErrorCode(
        code="XrmEnvironmentVariableAttributeNotFound",
        means="an environment variable that the flow reads has no value",
        instruction="Give the environment variable a value, then retry.",
    ),
    PlatformErrorCode(
        code="DlpViolation",
        aliases=("CompanyDlpViolation", "ApiPolicyEndpointViolation"),
        means="a data policy forbids a connector of the flow, an address, or a combination",
        instruction="Change the data policy or exempt the environment from it, or change the "
        "flow; then retry.",
        words=r"admin data policy|admin API policies",
    ),
    PlatformErrorCode(
        code="ListCallbackUrlOperationBlocked",
        means="the platform gives no URL for this trigger",
        instruction="Roll this job back, re-point the flow's callers by hand to a flow with an "
        "HTTP trigger, and exclude this one.",
    ),
    PlatformErrorCode(
        code="WorkflowTriggerIsNotEnabled",
        means="the flow is off, or was never on, so that its trigger has no URL",
        instruction="Turn the flow on in Power Automate, then retry.",
    ),
    PlatformErrorCode(
        code="FlowCountLimitExceeded",
        means="the owner has as many flows outside solutions as one may have (600)",
        instruction="Move some of the owner's flows into a solution or delete some, then retry.",
        words=r"limit of \d+ flows|(maximum|allowed) number of flows",
        is_published=False,
    ),
    PlatformErrorCode(
        code="ChildFlowNeverPublished",
        means="a child flow that it runs was never on, or is gone",
        instruction="Turn the child flow on once (where it is itself copied: its copy), or take "
        "the call out of the original; then retry.",
    ),
    PlatformErrorCode(
        code="CannotStartUnpublishedSolutionFlow",
        means="a flow of a solution was never published, so it cannot be turned on outside of it",
        instruction="Open the flow in its solution, turn it on there (or publish all "
        "customizations), then retry.",
    ),
    PlatformErrorCode(
        code="ChildFlowUnsupportedForInvokerConnections",
        means="a child flow that it runs uses connections of whoever runs it",
        instruction="In the child flow's run-only settings choose 'Use this connection' for each "
        "connection, then retry.",
    ),
    PlatformErrorCode(
        code="WorkflowRunActionInputsMissingProperty",
        aliases=("WorkflowRunActionInputsInvalidProperty",),
        means="how an action is written is refused, in the older connector shape and in the newer",
        instruction="Mend the action that the message names in the designer, save the original, "
        "then retry.",
    ),
    PlatformErrorCode(
        code=REFERENCE_NOT_FOUND,
        means="an operation names a connection reference that the platform does not find; the "
        "platform itself may have put that name there",
        instruction="Open the flow in Power Automate and choose its connections again. If it still "
        "cannot be saved, only a new flow helps: export it, delete it, import it; then retry.",
        is_published=False,
    ),
    PlatformErrorCode(
        code=NOT_PUBLISHED,
        means="the platform does not save the flow now: its active row is not published",
        instruction="The app has tried again for some time. Turn the flow off and on in Power "
        "Automate (its solution: publish all customizations), then retry.",
    ),
    PlatformErrorCode(
        code="InvalidTemplate",
        aliases=("InvalidOpenApiFlow",),
        means="the platform does not accept this definition any more",
        instruction="Open the original in the designer, mend what its flow checker shows, save "
        "it, then retry.",
    ),
    PlatformErrorCode(
        code=DEFINITION_NOT_SHOWN,
        means="the flow service does not show the definition to an administrator",
        instruction="Sign the operator in and set the environment's mode to approve or auto: it is "
        "then read by a co-ownership of the moment. Or add the flow to a solution. Then retry.",
    ),
    PlatformErrorCode(
        code="EnvironmentAccessDenied",
        means="the app may not administer the environment's flows",
        instruction="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code="UserMissingRequiredPermission",
        means="the app is not registered as an administrator of Power Platform",
        instruction="Register the app with New-PowerAppManagementApp, then retry.",
    ),
    PlatformErrorCode(
        code=TOO_LONG,
        means="a text is longer than its column in Dataverse takes, which the message names",
        instruction="Give the original a shorter name, then retry.",
    ),
    PlatformErrorCode(
        code="MacroRegionDerivationFailed",
        means="no host of the flow service can tell the region of the environment",
        instruction="Nothing can be done in the environment: report the message, with the "
        "environment's `runtimeEndpoints` as the admin API tells them, to the project; then retry.",
    ),
    PlatformErrorCode(
        code="InsufficientCdsPermissions",
        means="the operator (or the app) has no security role in the environment's Dataverse",
        instruction="Add the operator to the environment as a user with the role Environment "
        "Maker, and the app with System Administrator; then retry.",
    ),
    PlatformErrorCode(
        code="0x80072560",
        means="the app (or the flow's owner) is no user of the environment's Dataverse",
        instruction="Add the app as an application user with the role System Administrator (or "
        "give the flow an owner who is a user), then retry.",
    ),
    PlatformErrorCode(
        code="0x80040220",
        means="the app (or the flow's owner) lacks a privilege in Dataverse, which the message "
        "names",
        instruction="Give the app the role System Administrator and the flow's owner the role "
        "Environment Maker, then retry.",
    ),
    PlatformErrorCode(
        code="ApplicationTokenNotSupported",
        means="this operation is closed to applications: only a person may call it",
        instruction="Nothing can be done in the environment: report the operation to the project. "
        "Until then make this copy by hand.",
        words=r"not (available|supported|allowed) (to|for) (application|service principal)",
        is_published=False,
    ),
    PlatformErrorCode(
        code="AuthenticationFailed",
        aliases=("InvalidAuthenticationToken", "ExpiredAuthenticationToken", "Http401"),
        means="a service does not accept the app's access token, or there is none",
        instruction="See that the app's managed identity exists and is the one in CMK_CLIENT_ID, "
        "then retry.",
    ),
)
OTHER = PlatformErrorCode(
    code="other",
    means="any other code: the platform's message says what it refuses",
    instruction="Read the platform's message, mend what it names in the flow, its connections or "
    "the app's rights; then retry.",
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
    by_words = (one for one in REFUSALS if one.words and re.search(one.words, message, re.I))
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
