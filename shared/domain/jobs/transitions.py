"""How a flow job goes from state to state: what each change leaves in its row."""

from dataclasses import replace
from datetime import datetime

from shared.domain.jobs.job import FINISHED, HISTORY_LENGTH, Change, FlowJob, JobState


def moved(job: FlowJob, state: JobState, text: str, *, now: datetime) -> FlowJob:
    """Return the job in its next state, due at once (finished states: never)."""
    return replace(
        job,
        state=state,
        resume=None,
        reason="",
        instruction="",
        code="",
        failures=0,
        due=None if state in FINISHED else now,
        history=_with(job, state, text, now),
    )


def noted(job: FlowJob, *notes: str) -> FlowJob:
    """Return the job with these notes after those that it has, each of them once."""
    return replace(job, notes=tuple(dict.fromkeys((*job.notes, *notes))))


def postponed(
    job: FlowJob, reason: str, *, until: datetime, now: datetime, code: str = ""
) -> FlowJob:
    """Return the job waiting for `until`, to go on where it is."""
    same = bool(job.history) and job.history[-1].text == reason
    return replace(
        job,
        state=JobState.WAITING,
        resume=job.reached,
        reason=reason,
        instruction="",
        code=code,
        due=until,
        history=job.history if same else _with(job, JobState.WAITING, reason, now),
    )


def stopped(
    job: FlowJob, state: JobState, reason: str, instruction: str, *, code: str, now: datetime
) -> FlowJob:
    """Return the job blocked or failed, to be retried from where it is."""
    return replace(
        job,
        state=state,
        resume=job.reached,
        reason=reason,
        instruction=instruction,
        code=code,
        due=None,
        failures=0,
        history=_with(job, state, reason, now),
    )


def retried(job: FlowJob, text: str, *, now: datetime) -> FlowJob:
    """Return a blocked, failed or waiting job back where it was, due at once."""
    return moved(job, job.reached, text, now=now)


def _with(job: FlowJob, state: str, text: str, now: datetime) -> tuple[Change, ...]:
    return (*job.history, Change(at=now, state=state, text=text))[-HISTORY_LENGTH:]
