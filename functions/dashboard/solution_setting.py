"""Show the setting that creates new flows in a solution, and the actions that change it."""

from collections.abc import Sequence

from functions.dashboard.page_actions import PageAction, build_page_action
from shared.domain.environment import ApprovalPolicy
from shared.domain.principal import Principal, Role
from shared.domain.solution_setting import SolutionSettingChange, SolutionSettingState
from shared.use_cases.show_environments import KnownEnvironment

_PATH = "environments/{id}/solution-setting"
_WORDS = {
    SolutionSettingState.APPLYING: "not confirmed yet: turned on",
    SolutionSettingState.APPLIED: "turned on",
    SolutionSettingState.REVERTING: "not confirmed yet: reverted",
    SolutionSettingState.REVERTED: "reverted",
}


def format_solution_setting(change: SolutionSettingChange | None) -> str:
    """Return the app's last change of the setting as text."""
    if change is None:
        return "not changed by the app"
    return f"{_WORDS[change.state]} by {change.changed_by}, {change.changed_at:%Y-%m-%d %H:%M} UTC"


def list_solution_setting_actions(
    one: KnownEnvironment, principal: Principal
) -> Sequence[PageAction]:
    """Return the actions that are possible now: turn the setting on, or revert the app's change."""
    change = one.solution_setting
    actions = []
    if change is None or change.state is not SolutionSettingState.APPLIED:
        actions.append(_build_turn_on_action(one, principal))
    if change and change.state is not SolutionSettingState.REVERTED:
        actions.append(_build_revert_action(one, principal))
    return actions


def _build_turn_on_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    policy = one.settings.approval_policy
    unavailable_reason = _explain_read_only(one)
    if policy is ApprovalPolicy.REQUIRED and not principal.has_role(Role.APPROVER):
        unavailable_reason = f"Changes in {one.name} need an approver."
    return build_page_action(
        _PATH,
        "Create new flows in a solution",
        principal,
        identity=one.environment_id,
        does=[
            f"New flows of {one.name} are created in a solution. Existing flows do not change.",
            "Under your key, Power Apps can run only flows in a solution.",
        ],
        unavailable_reason=unavailable_reason,
    )


def _build_revert_action(one: KnownEnvironment, principal: Principal) -> PageAction:
    return build_page_action(
        f"{_PATH}/revert",
        "Restore the former setting",
        principal,
        identity=one.environment_id,
        does=[
            "The setting gets the value that it had before the app changed it.",
            "If somebody has turned it off since, nothing changes.",
        ],
        unavailable_reason=_explain_read_only(one),
    )


def _explain_read_only(one: KnownEnvironment) -> str:
    is_read_only = one.settings.approval_policy is ApprovalPolicy.READ_ONLY
    return f"{one.name} is read-only. Permit changes first." if is_read_only else ""
