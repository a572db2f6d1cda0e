"""Build the actions of the Overview and Environments pages, each with its consequences."""

from collections.abc import Sequence

from functions.dashboard.page_actions import RETRY, PageAction, build_page_action
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.plans.environment_status import OngoingFlows
from shared.domain.plans.pending_actions import PendingAction, format_count
from shared.domain.plans.remediation import RemediationMode
from shared.domain.principal import Principal
from shared.use_cases.show_environments import KnownEnvironment

#: What the app may do in an environment, by its approval policy.
POLICY_WORDS = {
    ApprovalPolicy.READ_ONLY: "Read only",
    ApprovalPolicy.REQUIRED: "Change what is approved",
    ApprovalPolicy.AUTOMATIC: "Change without approval",
}
_POLICY_TITLES = {
    ApprovalPolicy.READ_ONLY: "Make the environment read-only",
    ApprovalPolicy.REQUIRED: "Permit changes after approval",
    ApprovalPolicy.AUTOMATIC: "Permit changes without approval",
}
_JUSTIFICATION = ("justification", "Justification (recorded with your name)")


def build_kill_switch_off_action(
    ongoing: Sequence[OngoingFlows] | None, principal: Principal
) -> PageAction:
    """Return the action that turns the kill switch off.

    `ongoing` contains the flows that then continue, or is None if they were not read.
    """
    flows: dict[str, int] = {}
    for one in ongoing or ():
        name = one.environment_name or one.environment_id
        flows[name] = flows.get(name, 0) + one.count
    does = [
        f"{name}: {format_count(number, 'flow')} {'continues' if number == 1 else 'continue'}."
        for name, number in flows.items()
    ]
    none = "Flows that wait for it continue." if ongoing is None else "No flow waits for it now."
    return build_page_action(
        "kill-switch/off",
        "Turn off kill switch",
        principal,
        asks=_JUSTIFICATION,
        does=[
            *(does[:5] or [none]),
            *(
                [f"Flows of {format_count(len(does) - 5, 'more environment')} continue."]
                if does[5:]
                else []
            ),
            "Approved plans start. Blocked flows stay blocked until a person retries them.",
        ],
    )


def build_kill_switch_on_action(principal: Principal) -> PageAction:
    """Return the action that stops the app's writes."""
    return build_page_action(
        "kill-switch/on",
        "Stop changes",
        principal,
        asks=_JUSTIFICATION,
        does=[
            "The app makes no further change in any environment. A change in progress completes.",
            "One exception: the app turns on a flow that a cutover left off.",
            "Flows in progress wait until the kill switch is turned off.",
        ],
    )


def build_pending_retry_action(one: PendingAction, principal: Principal) -> PageAction:
    """Return the action that retries the flows, or the environment job, of a pending action."""
    fields = [("reason_code", one.reason_code), ("environment", one.environment_id)]
    what = (
        format_count(one.count, "flow") if one.flows else one.environment_name or one.environment_id
    )
    return build_page_action(
        RETRY,
        "After the fix: Retry",
        principal,
        identity=one.remediation_id,
        fields=tuple((name, value) for name, value in fields if value),
        does=[
            f"Fix first: {one.fix}" if one.fix else "Fix the reason first.",
            f"{what}: retried from the step where the work stopped.",
        ],
    )


def list_environment_actions(one: KnownEnvironment, principal: Principal) -> list[PageAction]:
    """Return what a person may start for an environment: assessment, dry run, remediation."""
    return [
        _build_assess_action(one, principal),
        _build_start_action(one, principal, RemediationMode.DRY_RUN),
        _build_start_action(one, principal, RemediationMode.APPLY),
    ]


def list_approval_policy_actions(one: KnownEnvironment, principal: Principal) -> list[PageAction]:
    return [
        build_approval_policy_action(one.environment_id, one.name, principal, policy)
        for policy in ApprovalPolicy
        if policy is not one.settings.approval_policy
    ]


def _build_assess_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    does = [
        f"The app reads flows, callers, keys and firewalls of {one.name}, and reports what to do.",
        "It changes nothing.",
    ]
    if one.last_assessment and not one.last_assessment.is_inactive:
        does.append("An assessment is in progress. No second one is started.")
    return build_page_action(
        "environments/{id}/assessment", "Assess", principal, identity=one.environment_id, does=does
    )


def _build_start_action(
    one: KnownEnvironment, principal: Principal, mode: RemediationMode
) -> PageAction:
    does, read_only = [], ""
    if mode is RemediationMode.DRY_RUN:
        does = [
            f"The app reads the flows of {one.name} and plans every change.",
            "It changes nothing. No approval is needed.",
        ]
    else:
        does = _list_effects_of_remediation(one)
        if one.settings.approval_policy is ApprovalPolicy.READ_ONLY:
            read_only = f"{one.name} is read-only. Permit changes first."
    return build_page_action(
        "remediations",
        "Start dry run" if mode is RemediationMode.DRY_RUN else "Start remediation",
        principal,
        fields=(("mode", mode), ("environment_ids[]", one.environment_id)),
        does=does,
        unavailable_reason=read_only,
    )


def _list_effects_of_remediation(one: KnownEnvironment) -> list[str]:
    settings = one.settings
    most = format_count(settings.max_flows, "flow")
    does = [f"The app plans the migration of at most {most} of {one.name}."]
    if settings.approval_policy is ApprovalPolicy.AUTOMATIC:
        does.append("It then makes the changes without an approval.")
    else:
        does.append("It changes nothing before an approver approves the plan.")
    if settings.maintenance_window:
        does.append(f"It changes flows only from {format_maintenance_window(settings)}.")
    if settings.excluded_flows:
        number = len(settings.excluded_flows)
        stays = "stays as it is" if number == 1 else "stay as they are"
        does.append(f"{format_count(number, 'excluded flow')} {stays}.")
    if not (one.policy_link and one.policy_link.policy_id):
        does.append(f"No key is known for {one.name}. Without one, the remediation is blocked.")
    return does


def build_approval_policy_action(
    environment_id: str, name: str, principal: Principal, policy: ApprovalPolicy
) -> PageAction:
    """Return the action that sets an environment's approval policy. `name` is that of the
    environment.
    """
    match policy:
        case ApprovalPolicy.READ_ONLY:
            does = [
                f"The app makes no further change in {name}.",
                "Flows in progress are blocked at their next change.",
            ]
        case ApprovalPolicy.REQUIRED:
            does = [f"The app may change flows of {name} after an approver has approved the plan."]
        case ApprovalPolicy.AUTOMATIC:
            does = [
                f"The app may change flows of {name} without an approval.",
                "The daily check and a change of the policy also start remediations.",
            ]
    return build_page_action(
        "environments/{id}/settings",
        _POLICY_TITLES[policy],
        principal,
        identity=environment_id,
        fields=(("approval_policy", policy),),
        does=does,
    )


def format_maintenance_window(settings: EnvironmentSettings) -> str:
    begin, _, end = settings.maintenance_window.partition("-")
    return f"{begin} to {end} UTC" if end else ""
