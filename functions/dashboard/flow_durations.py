"""Compute how long each step of a flow job took, how long it was blocked, and its requests."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from functions.dashboard.flow_steps import describe_flow_state
from shared.domain.jobs.durable_job import HISTORY_LENGTH, HistoryEntry
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState

#: A period is drawn at least this wide, in percent, so that it can be seen.
_LEAST = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period that a job was in a step, as a part of the step's bar.

    `start` and `width` are in percent of the time of the whole job.
    """

    look: str
    start: float
    width: float


@dataclass(slots=True, kw_only=True)
class StepDuration:
    """How long a job was in a step, all visits together, and how many requests it sent there."""

    title: str
    started_at: datetime
    lasted: timedelta = timedelta()
    #: The part of it in which a person had to act.
    blocked: timedelta = timedelta()
    requests: int = 0
    periods: list[Period] = field(default_factory=list)


def list_step_durations(job: FlowJob, now: datetime) -> list[StepDuration]:
    """Return a job's steps in the order in which they began. The last one may be in progress."""
    history = job.history
    if not history:
        return []
    is_over = FLOW_STATES[job.state].is_over
    last = history[-1].changed_at if is_over else max(now, history[-1].changed_at)
    whole = (last - history[0].changed_at).total_seconds() or 1.0
    found: dict[FlowJobState, StepDuration] = {}
    state = _find_step_before_history(job)
    for entry, ended_at in _pair_entries_with_ends(history, last):
        pause = _get_pause_css_class(entry)
        state = state if pause else _find_flow_job_state(entry)
        title = describe_flow_state(state).step if state else ""
        if state is None or not title:  # the job is over
            continue
        step = found.setdefault(state, StepDuration(title=title, started_at=entry.changed_at))
        lasted = ended_at - entry.changed_at
        look = pause or "work"
        step.lasted += lasted
        step.requests += entry.requests
        if look == "person":
            step.blocked += lasted
        begun = (entry.changed_at - history[0].changed_at).total_seconds()
        width = max(100 * lasted.total_seconds() / whole, _LEAST)
        start = min(100 * begun / whole, 100 - width)
        step.periods.append(Period(look=look, start=round(start, 2), width=round(width, 2)))
    return list(found.values())


def find_reached_at(job: FlowJob, *states: FlowJobState) -> datetime | None:
    """Return when the job last entered one of these states, or None if its history does not show
    it.

    A job that continues after a pause has not entered its state again.
    """
    steps = [one for one in job.history if not _get_pause_css_class(one)]
    entered = (
        one.changed_at
        for before, one in zip([None, *steps], steps, strict=False)
        if one.state in states and (before is None or before.state not in states)
    )
    return max(entered, default=None)


def may_lack_oldest_history(job: FlowJob) -> bool:
    """Return whether the job's history is full, so that its first entries may be removed."""
    return len(job.history) >= HISTORY_LENGTH


def _get_pause_css_class(entry: HistoryEntry) -> str:
    state = _find_flow_job_state(entry)
    if state is None or not FLOW_STATES[state].resumes_later:
        return ""
    return "person" if FLOW_STATES[state].needs_action else "wait"


def _find_flow_job_state(entry: HistoryEntry) -> FlowJobState | None:
    return next((state for state in FlowJobState if state == entry.state), None)


def _find_step_before_history(job: FlowJob) -> FlowJobState | None:
    following = (_find_flow_job_state(one) for one in job.history if not _get_pause_css_class(one))
    return next(following, job.step)


def _pair_entries_with_ends(
    history: tuple[HistoryEntry, ...], last: datetime
) -> list[tuple[HistoryEntry, datetime]]:
    ends = [after.changed_at for _, after in pairwise(history)]
    return list(zip(history, [*ends, last], strict=True))
