"""What to do about a refusal of the platform, by its code (contract §1.3, §5, §14)."""

import re

#: Whoever turns a flow on, or names a connection in a reference, has to be allowed to use it.
CONNECTION_REFUSED = "ConnectionAuthorizationFailed"
#: Codes by which the platform says that the app may not act for the owner (contract §14.1).
NOT_ON_BEHALF = frozenset({"0x80040220", "0x80042f09", "ImpersonationNotAllowed"})

_INSTRUCTIONS = {
    "MissingAdequateQuotaPolicy": (
        "The owner has no licence for a premium trigger or action: assign a Power Automate "
        "Premium (or a Process) licence, then retry."
    ),
    "ConnectionAuthorizationFailed": (
        "A connection of this flow may not be used by the one who turns the copy on: its owner "
        "shares it with the app ('Can use') or turns the copy on once; then retry."
    ),
    "NonCompliantServicePrincipalFlow": (
        "A flow owned by an application needs a Process licence: assign one, then retry."
    ),
    "CompanyDlpViolation": (
        "A data policy of the tenant forbids a combination of connectors in this flow: change "
        "the policy or the flow, then retry."
    ),
    "ListCallbackUrlOperationBlocked": (
        "The platform gives no URL for this trigger: re-point its callers by hand, then retry."
    ),
    "FlowLimitReached": (
        "The owner has 600 flows outside solutions: move some into a solution, then retry."
    ),
    "EnvironmentAccessDenied": (
        "Register the app with New-PowerAppManagementApp and make it an application user of the "
        "environment with the role System Administrator; then retry."
    ),
    "WorkflowRunActionInputsInvalidProperty": (
        "The platform refuses how an action is written, in the older connector shape and in the "
        "newer one: mend the action that it names in the designer, save the original, then retry."
    ),
    "WorkflowRunActionInputsMissingProperty": (
        "The platform refuses how an action is written, in the older connector shape and in the "
        "newer one: mend the action that it names in the designer, save the original, then retry."
    ),
    "ConnectionNotConfigured": (
        "A connection reference of this flow leads to no connection: choose one for it in Power "
        "Apps (Solutions, Connection references), then retry."
    ),
    "ChildFlowUnpublished": (
        "A child flow that it runs is off or gone: turn that flow on, or take the call out of the "
        "original; then retry."
    ),
    "InvalidTemplate": (
        "The platform does not accept this definition any more: open the original in the "
        "designer, mend what its checker shows, then retry."
    ),
}
_DEFAULT = (
    "Read the platform's message, mend what it names in the flow, its connections or the app's "
    "rights; then retry."
)


#: How the platform names the connection (contract §14.1).
_CONNECTION = re.compile(r"[Cc]onnection '(?P<name>[^']+)'(?: to '(?P<connector>[^']+)')?")


def instruction_for(code: str, message: str = "") -> str:
    """Return what an administrator can do about a refusal with this code and text."""
    named = _CONNECTION.search(message) if code == "ConnectionAuthorizationFailed" else None
    if named:
        connector = f" ({named['connector']})" if named["connector"] else ""
        return (
            f"Neither the flow's owner nor the app may use the connection {named['name']}"
            f"{connector}: the connection's owner shares it with the app ('Can use') or turns the "
            "copy on once; then retry."
        )
    return _INSTRUCTIONS.get(code, _DEFAULT)
