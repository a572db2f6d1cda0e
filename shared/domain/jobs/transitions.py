"""Move a durable job from state to state, and record each move in its row."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.jobs.durable_job import HISTORY_LENGTH, DurableJob, HistoryEntry
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.state_machine import check_transition
from shared.reason import Reason


def move_to_state[J: DurableJob[Any]](job: J, state: StrEnum, text: str, *, now: datetime) -> J:
    """Return the job in its next state, due now unless that state is final.

    Raises `InvalidTransition` if the table of states does not allow the move.
    """
    check_transition(job.states, job.step, state)
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
    """Return the job with these notes appended, each note once."""
    return replace(job, notes=tuple(dict.fromkeys((*job.notes, *notes))))


def wait_until[J: DurableJob[Any]](
    job: J, reason: str, *, until: datetime, now: datetime, code: Reason
) -> J:
    """Return the job waiting until this time.

    It then continues where it is; a final state stays.
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
    """Return the job blocked or failed, to be retried from where it is."""
    check_transition(job.states, job.step, state)
    return replace(
        with_history(job, state, reason, now=now),
        state=state,
        resume_state=job.step,
        message=reason,
        fix=name_environment(fix, job.environment_id),
        reason_code=code,
        next_check_at=None,
        consecutive_failures=0,
    )


def name_environment(fix: str, environment_id: str) -> str:
    """Return the fix with the environment's id in its commands."""
    return fix.replace(" ENVIRONMENT ", f" {environment_id} ")


def resume[J: DurableJob[Any]](job: J, text: str, *, now: datetime) -> J:
    """Return a blocked, failed or waiting job where it stopped, due now."""
    return move_to_state(job, job.step, text, now=now)


def with_history[J: DurableJob[Any]](job: J, state: str, text: str, *, now: datetime) -> J:
    """Return the job with one more history entry; the oldest is removed if there are too many."""
    line = HistoryEntry(changed_at=now, state=state, message=text)
    return replace(job, history=(*job.history, line)[-HISTORY_LENGTH:])


def with_request_count[J: DurableJob[Any]](job: J, before: J, calls: int) -> J:
    """Return the job, a successor of `before`, with the number of requests that this took.

    They are added to the history entry that was the latest in `before`.
    """
    if not before.history or (not calls and job.history is before.history):
        return job
    *earlier, last = before.history
    known = (*earlier, replace(last, requests=last.requests + calls))
    for length in range(min(len(known), len(job.history)), 0, -1):
        if known[-length:] == job.history[:length]:
            return replace(job, history=(*known[-length:], *job.history[length:]))
    return job
