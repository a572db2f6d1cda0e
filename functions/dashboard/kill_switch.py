"""Show on each page that the kill switch is on, and which of its actions have to wait."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from functions.dashboard.environment_actions import build_kill_switch_off_action
from functions.dashboard.page_actions import PageAction
from functions.dashboard.page_layout import PageContext
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.environment_status import OngoingFlows

#: Why an action that makes the app write is not offered.
_REASON = "The kill switch is on. Turn it off first."
#: When an action that is stored now takes effect.
_LATER = "The app changes flows only after the kill switch is off."
#: Ends of the URLs of these actions.
_DELAYED = ("/approve", "/cancel", "/rollback", "/ignored-issues")
#: Ends of the URLs of actions that do nothing while the kill switch is on.
_HELD = (
    "/retry",
    "/network/firewall-fixes",
    "/solution-setting",
    "/solution-setting/revert",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopBanner:
    """The banner that says that the kill switch is on, with the action that turns it off."""

    switch: KillSwitch
    turn_off: PageAction


def build_stop_banner(
    view: PageContext, ongoing: Sequence[OngoingFlows] | None = None
) -> StopBanner | None:
    """Return the banner, or None if the kill switch is off.

    `ongoing` contains the flows that wait for the kill switch, or None if they were not read.
    """
    if not view.is_stopped or view.kill_switch is None:
        return None
    action = build_kill_switch_off_action(ongoing, view.principal)
    return StopBanner(switch=view.kill_switch, turn_off=action)


def adapt_action_to_kill_switch(one: PageAction, view: PageContext) -> PageAction:
    """Return an action as the kill switch changes it: unavailable, or with a later effect."""
    if not view.is_stopped or one.unavailable_reason:
        return one
    if one.action.endswith(_HELD):
        return replace(one, unavailable_reason=_REASON)
    return replace(one, does=(*one.does, _LATER)) if one.action.endswith(_DELAYED) else one
