"""Build the Overview page: what people have to do, and the progress of each environment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.dashboard.environment_actions import (
    build_kill_switch_on_action,
    build_pending_retry_action,
)
from functions.dashboard.environment_rows import (
    EnvironmentRow,
    Situation,
    build_environment_row,
    sort_environment_rows,
)
from functions.dashboard.kill_switch import build_stop_banner
from functions.dashboard.page_actions import PageAction
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.support_requests_page import build_draft_url
from shared.domain.plans.display_text import count_undecided_flows
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind, format_count
from shared.domain.plans.plan_item import NotMigratedReason
from shared.html_pages import format_span
from shared.reason import Reason
from shared.use_cases.show_status import TenantStatus

#: Number of actions and of environments that the page shows before their folds.
MOST_ACTIONS = 20
MOST_ENVIRONMENTS = 20
#: Number of actions and of environments in each fold.
MOST_IN_FOLD = 80
_MOST_SHOWN = MOST_ACTIONS + MOST_IN_FOLD
#: Kinds that stop no flow, each with an icon.
_DECISIONS = {
    PendingActionKind.PLAN_AWAITING_APPROVAL: "plan",
    PendingActionKind.NEEDS_CHANGES: "alert",
    PendingActionKind.SUPPORT_REQUEST: "clock",
}
_RETRIED = frozenset({PendingActionKind.FLOWS_BLOCKED, PendingActionKind.ENVIRONMENT_BLOCKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """An action required, as a row of the page with the button for its next step."""

    id: str
    look: str
    #: An icon of `kit.html.j2`; empty: the one of the look.
    shape: str
    title: str
    #: Parts of the short line: where, who, since when.
    line: tuple[str, ...]
    pending: PendingAction
    #: Title and URL of the page with the next step; empty: none has it.
    link: tuple[str, str] = ("", "")
    #: The next step itself; None: the link leads to it, or the fix says it.
    action: PageAction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The first sentence of a page, such as `3 actions required`, and the sentence below it."""

    look: str
    text: str
    lead: str


def build_overview_page(view: PageContext, status: TenantStatus) -> str:
    others = [
        one for one in status.pending_actions if one.kind is not PendingActionKind.KILL_SWITCH_ON
    ]
    rows = _build_environment_rows(status, view.now)
    actions = [_build_action_row(one, view) for one in others]
    is_stopped = status.health.kill_switch_on
    view = replace(view, kill_switch=status.health.kill_switch)
    return render_page(
        "overview",
        view,
        section="Overview",
        status=status,
        headline=build_headline(status, others),
        is_stopped=is_stopped,
        actions=actions,
        retries=[one.action for one in actions[:_MOST_SHOWN] if one.action and not one.link[0]],
        most_actions=MOST_ACTIONS,
        last_action=_MOST_SHOWN,
        rows=rows[:MOST_ENVIRONMENTS],
        folded=rows[MOST_ENVIRONMENTS : MOST_ENVIRONMENTS + MOST_IN_FOLD],
        environment_count=len(rows),
        stopped=build_stop_banner(view, status.ongoing),
        stop=None if is_stopped else build_kill_switch_on_action(view.principal),
    )


def build_headline(status: TenantStatus, others: Sequence[PendingAction]) -> Headline:
    """Return the first sentence of the page, and the sentence below it. `others` contains the
    required actions other than turning the kill switch off.
    """
    left = count_undecided_flows(status.not_migrated)
    lead = _format_lead_sentence(status)
    if others:
        other = "other " if status.health.kill_switch_on else ""
        is_decision = all(one.kind in _DECISIONS for one in others)
        text = f"{format_count(len(others), f'{other}action')} required"
        return Headline(look="wait" if is_decision else "person", text=text, lead=lead)
    if status.unreadable_rows:
        text = f"{format_count(len(status.unreadable_rows), 'row')} cannot be read"
        return Headline(look="person", text=text, lead=lead)
    if left:
        text = f"{format_count(left, 'flow')} {'is' if left == 1 else 'are'} not migrated"
        return Headline(look="wait", text=text, lead=lead)
    if status.health.kill_switch_on:
        return Headline(look="wait", text="No other action required", lead=lead)
    if not status.environments:
        return Headline(look="over", text="No remediation yet", lead=lead)
    return Headline(look="done", text="No action required", lead=lead)


def _format_lead_sentence(status: TenantStatus) -> str:
    if not status.environments:
        return "Assess an environment first, or start a dry run. Both change nothing."
    ongoing = status.not_migrated.get(NotMigratedReason.IN_PROGRESS, 0)
    if ongoing and status.health.kill_switch_on:
        waiting = format_count(ongoing, "flow")
        return f"{waiting} {'waits' if ongoing == 1 else 'wait'} for the kill switch."
    if ongoing:
        return f"The app continues with {format_count(ongoing, 'flow')}."
    if planning := sum(one.is_being_assessed_or_planned for one in status.environments):
        number = format_count(planning, "environment")
        return f"The app is assessing or planning {number}."
    if not status.flow_count:
        return "No flow is known that a remediation has to migrate."
    if status.migrated_count == status.flow_count:
        return "Every flow that was found is on your key."
    if excluded := status.not_migrated.get(NotMigratedReason.EXCLUDED, 0):
        stays = "stays" if excluded == 1 else "stay"
        return f"{format_count(excluded, 'excluded flow')} {stays} on Microsoft's key."
    return "No flow is in progress."


def _build_environment_rows(status: TenantStatus, now: datetime) -> list[EnvironmentRow]:
    checks: dict[str, datetime] = {}
    for ongoing in status.ongoing:
        if at := ongoing.first_check_at:
            known = checks.get(ongoing.environment_id)
            checks[ongoing.environment_id] = min(at, known) if known else at
    return sort_environment_rows(
        build_environment_row(
            one,
            Situation(
                now=now,
                is_stopped=status.health.kill_switch_on,
                next_check_at=checks.get(one.environment_id),
            ),
        )
        for one in status.environments
    )


def _build_action_row(one: PendingAction, view: PageContext) -> ActionRow:
    where = one.environment_name or one.environment_id
    link = _build_link_for_required_action(one)
    return ActionRow(
        id=one.id,
        look="wait" if one.kind in _DECISIONS else "person",
        shape=_DECISIONS.get(one.kind, ""),
        title=one.short_title if where else one.title,
        line=tuple(
            filter(None, (where, f"for the {one.actor}", _format_age_or_expiry(one, view.now)))
        ),
        pending=one,
        link=link,
        action=build_pending_retry_action(one, view.principal)
        if one.kind in _RETRIED and not link[0]
        else None,
    )


def _format_age_or_expiry(one: PendingAction, now: datetime) -> str:
    if one.expires_at:
        left = one.expires_at - now
        return f"expires in {format_span(left)}" if left > timedelta(0) else "expired"
    age = now - one.pending_since if one.pending_since else None
    return f"open for {format_span(age)}" if age and age >= timedelta(minutes=1) else ""


def _build_link_for_required_action(one: PendingAction) -> tuple[str, str]:
    page = f"/api/dashboard/remediations/{one.remediation_id}"
    match one.kind:
        case PendingActionKind.PLAN_AWAITING_APPROVAL:
            return "Review plan", f"{page}/plan"
        case PendingActionKind.NEEDS_CHANGES:
            return "Show changes", f"{page}/plan?filter=needs_changes"
        case PendingActionKind.SUPPORT_REQUEST:
            return "Show draft", build_draft_url(one.reason_code, one.environment_id)
        case PendingActionKind.BOTH_OFF | PendingActionKind.LATE_CALLER:
            return "Show flows", page
        case PendingActionKind.FLOWS_BLOCKED if one.reason_code == Reason.FIREWALL_DENIES:
            return "Show firewalls", f"{page}?reason_code={one.reason_code}"
        case _:
            return "", ""
