"""Describe the progress of an environment: its state, a bar of its flows, and what is next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES, EnvironmentJobState
from shared.domain.plans.display_text import count_undecided_flows, describe_why_not_migrated
from shared.domain.plans.environment_status import EnvironmentStatus
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode
from shared.html_pages import format_span

_REASON = NotMigratedReason
#: Looks in a bar of flows that are not migrated and require a person; the others leave it empty.
_LOOKS = {
    _REASON.BLOCKED: "person",
    _REASON.FAILED: "person",
    _REASON.NEEDS_CHANGES: "wait",
}
#: Order of looks in the table, and of the parts of a bar.
_ORDER = ("person", "wait", "work", "over", "done")
_BAR = ("done", "over", "wait", "person")
#: What the jobs that only read have done, once they are complete.
_READ_ONLY = {
    RemediationMode.DRY_RUN: "Dry run completed",
    RemediationMode.ASSESS: "Report completed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """An environment's progress, as a row of the Overview and Environments pages."""

    environment_id: str
    name: str
    remediation_id: str
    look: str
    #: An icon of `kit.html.j2`; empty: the one of the look.
    shape: str
    state: str
    #: Looks and numbers of flows, for a bar.
    parts: tuple[tuple[str, int], ...]
    migrated_count: int
    flow_count: int
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the state of an environment depends on besides its own job, such as the kill switch."""

    now: datetime
    #: Whether the kill switch is on.
    is_stopped: bool = False
    #: When the app continues its flows; None: not known, or nothing is in progress.
    next_check_at: datetime | None = None


def build_environment_row(one: EnvironmentStatus, situation: Situation) -> EnvironmentRow:
    look, shape, state = _describe_environment_state(one, situation)
    return EnvironmentRow(
        environment_id=one.environment_id,
        name=one.environment_name or one.environment_id,
        remediation_id=one.remediation_id,
        look=look,
        shape=shape,
        state=state,
        parts=count_flows_by_css_class(one.migrated_count, one.prepared_count, one.not_migrated),
        migrated_count=one.migrated_count,
        flow_count=one.flow_count,
        next=_describe_remaining_work(one, situation),
    )


def sort_environment_rows(rows: Iterable[EnvironmentRow]) -> list[EnvironmentRow]:
    """Return the rows sorted by urgency, then by name."""
    return sorted(
        rows, key=lambda row: (_ORDER.index(row.look), compute_natural_sort_key(row.name))
    )


def _describe_environment_state(
    one: EnvironmentStatus, situation: Situation
) -> tuple[str, str, str]:
    left = one.not_migrated
    if one.both_off_count:
        return "person", "", "Original and copy both off"
    blocked, failed = (left.get(why, 0) for why in (_REASON.BLOCKED, _REASON.FAILED))
    if blocked or failed or ENVIRONMENT_STATES[one.state].needs_action:
        is_failed = one.state is EnvironmentJobState.FAILED or (failed and not blocked)
        age = situation.now - one.blocked_since if one.blocked_since else None
        return "person", "", ("Failed" if is_failed else "Blocked") + _format_blocked_period(age)
    if left.get(_REASON.AWAITING_APPROVAL):
        return "wait", "plan", "Awaiting approval"
    if left.get(_REASON.IN_PROGRESS) or not one.is_over:
        if situation.is_stopped and one.mode.writes:
            return "wait", "pause", "Paused"
        return "work", "", "Assessing" if one.is_assessment else _format_active_state(one)
    left_count = count_undecided_flows(left)
    if one.state is EnvironmentJobState.CANCELLED:
        return ("wait" if left_count else "over"), "idle", "Cancelled"
    if one.is_assessment:
        return "over", "", "Assessed"
    if not one.mode.writes:
        return "over", "", _READ_ONLY[one.mode]
    if left_count:
        return "wait", "", f"Completed, {left_count} left"
    return "done", "", "Completed"


def _format_blocked_period(age: timedelta | None) -> str:
    return f" for {format_span(age)}" if age and age >= timedelta(minutes=1) else ""


def _format_active_state(one: EnvironmentStatus) -> str:
    if one.state is EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION:
        return "Waiting for platform migration"
    return "Planning" if one.is_being_assessed_or_planned else "In progress"


def count_flows_by_css_class[Why: str](
    migrated: int, prepared: int, not_migrated: Mapping[Why, int]
) -> tuple[tuple[str, int], ...]:
    """Return how many flows each part of an environment's bar has, by its CSS class.

    `not_migrated` contains the number of flows by `NotMigratedReason`.
    """
    numbers = dict.fromkeys(_BAR, 0)
    numbers["done"] = migrated
    numbers["over"] = prepared
    for why, number in not_migrated.items():
        numbers[_LOOKS.get(NotMigratedReason(why), "over")] += number
    return tuple(numbers.items())


def _describe_remaining_work(one: EnvironmentStatus, situation: Situation) -> str:
    at = situation.next_check_at
    said = describe_not_migrated(
        one.not_migrated,
        is_stopped=situation.is_stopped,
        next_check_in=at - situation.now if at else None,
    )
    if one.prepared_count:
        said.append(f"{one.prepared_count} prepared for your key")
    if said:
        return ", ".join(said)
    if one.is_assessment or not one.mode.writes:
        return "Nothing was changed"
    if one.flow_count:
        return "Every flow is on your key"
    if one.state is EnvironmentJobState.CANCELLED:
        return "Cancelled before its flows were known"
    return "No flow has to be migrated" if one.is_over else "The flows are not known yet"


def describe_not_migrated[Why: str](
    left: Mapping[Why, int],
    *,
    is_stopped: bool = False,
    next_check_in: timedelta | None = None,
) -> list[str]:
    """Return a phrase for each reason why flows are not migrated.

    `is_stopped` says whether the kill switch is on, and `next_check_in` when the app continues
    flows in progress.
    """
    return [
        _format_remaining_flows(NotMigratedReason(why), number, is_stopped, next_check_in)
        for why, number in left.items()
    ]


def _format_remaining_flows(
    why: NotMigratedReason, number: int, is_stopped: bool, next_check_in: timedelta | None
) -> str:
    if why is _REASON.NEEDS_CHANGES:
        return f"{number:,} {'needs' if number == 1 else 'need'} changes first"
    if why is _REASON.AWAITING_APPROVAL:
        return f"{number:,} {'awaits' if number == 1 else 'await'} approval"
    if why is _REASON.DRY_RUN:
        return f"{number:,} not started, nothing was changed"
    if why is _REASON.IN_PROGRESS and is_stopped:
        return f"{number:,} {'waits' if number == 1 else 'wait'} for the kill switch"
    words = f"{number:,} {describe_why_not_migrated(why, number)[0]}"
    if why is _REASON.IN_PROGRESS and next_check_in and next_check_in >= timedelta(minutes=1):
        words += f", next check in {format_span(next_check_in)}"
    return words
