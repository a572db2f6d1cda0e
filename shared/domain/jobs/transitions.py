"""Change the state of a durable job, and record each change in its row."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.jobs.durable_job import HISTORY_LENGTH, DurableJob, HistoryEntry
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.state_machine import require_transition
from shared.reason import Reason


def move_to_state[J: DurableJob[Any]](job: J, state: StrEnum, text: str, *, now: datetime) -> J:
    """Return the job in another state. It is due now, unless that state is inactive.

    Raises `InvalidTransition` if the table of states does not allow the move.
    """
    require_transition(job.states, job.step, state)
    return replace(
        with_history(job, state, text, now=now),
        state=state,
        resume_state=None,
        message="",
        fix="",
        reason_code="",
        consecutive_failures=0,
        consecutive_crashes=0,
        next_check_at=None if job.states[state].is_inactive else now,
    )


def add_notes(job: FlowJob, *notes: str) -> FlowJob:
    """Return the job with these notes. A note that it already has is not repeated."""
    return replace(job, notes=tuple(dict.fromkeys((*job.notes, *notes))))


def wait_until[J: DurableJob[Any]](
    job: J, reason: str, *, until: datetime, now: datetime, code: Reason
) -> J:
    """Return the job waiting until this time. It then continues from its current step.

    A job in a final state, or of a kind without a waiting state, keeps its state.
    """
    waits = job.waiting_state if job.states[job.step].is_active else None
    state = waits or job.state
    same = bool(job.history) and job.history[-1].message == reason
    return replace(
        job if same else with_history(job, state, reason, now=now),
        state=state,
        resume_state=job.step if waits else None,
        message=reason,
        fix="",
        reason_code=code,
        next_check_at=until,
    )


def stop_with_reason[J: DurableJob[Any]](
    job: J, state: StrEnum, reason: str, fix: str, *, code: str, now: datetime
) -> J:
    """Return the job blocked or failed. A retry continues it from its current step."""
    require_transition(job.states, job.step, state)
    return replace(
        with_history(job, state, reason, now=now),
        state=state,
        resume_state=job.step,
        message=reason,
        fix=fill_in_environment(fix, job.environment_id),
        reason_code=code,
        next_check_at=None,
        consecutive_failures=0,
    )


def fill_in_environment(fix: str, environment_id: str) -> str:
    """Return the fix with the environment's id in place of `ENVIRONMENT`."""
    return fix.replace(" ENVIRONMENT ", f" {environment_id} ")


def resume[J: DurableJob[Any]](job: J, text: str, *, now: datetime) -> J:
    """Return a blocked, failed or waiting job in the step where it stopped, due now."""
    return move_to_state(job, job.step, text, now=now)


def with_history[J: DurableJob[Any]](job: J, state: str, text: str, *, now: datetime) -> J:
    """Return the job with one more history entry, without the oldest if there are too many."""
    line = HistoryEntry(changed_at=now, state=state, message=text)
    return replace(job, history=(*job.history, line)[-HISTORY_LENGTH:])


def with_request_count[J: DurableJob[Any]](job: J, before: J, requests: int) -> J:
    """Return the job with the number of requests that the change from `before` took.

    They are added to the history entry that was the latest in `before`.
    """
    if not before.history or (not requests and job.history is before.history):
        return job
    *earlier, last = before.history
    known = (*earlier, replace(last, requests=last.requests + requests))
    for length in range(min(len(known), len(job.history)), 0, -1):
        if known[-length:] == job.history[:length]:
            return replace(job, history=(*known[-length:], *job.history[length:]))
    return job
