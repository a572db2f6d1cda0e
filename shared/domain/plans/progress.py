"""How far a remediation is: it follows from its jobs (design §3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.jobs.job import FlowJob, JobState
from shared.domain.plans.remediation import EnvironmentJob, EnvironmentJobState

_PLANNING = frozenset(
    {
        EnvironmentJobState.WAITING_FOR_MIGRATION,
        EnvironmentJobState.DISCOVERING,
        EnvironmentJobState.PLANNED,
    }
)

_RUNNING = frozenset({EnvironmentJobState.APPROVED, EnvironmentJobState.DISPATCHED})


class RemediationState(StrEnum):
    """How far a remediation is."""

    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"  #: at least one plan waits for an administrator
    RUNNING = "running"
    STUCK = "stuck"  #: nothing goes on by itself, and a person has to do something
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a progress bar needs."""

    state: RemediationState
    #: Jobs by state.
    environments: dict[str, int]
    flows: dict[str, int]
    #: Jobs that are blocked or failed: each says what to do.
    stuck: int
    #: When something happens next; None: nothing will by itself.
    next_due: datetime | None


def progress_of(environment_jobs: Sequence[EnvironmentJob], jobs: Sequence[FlowJob]) -> Progress:
    """Return the progress of a remediation with these jobs."""
    # A dispatched environment job only watches its flow jobs, and what waits for approval expires.
    planning = [
        job.due if job.state is not EnvironmentJobState.DISPATCHED else job.expires
        for job in environment_jobs
        if job.state is not EnvironmentJobState.DISPATCHED or job.awaits_approval
    ]
    dues = [due for due in (*planning, *(job.due for job in jobs)) if due]
    bad = {EnvironmentJobState.BLOCKED, EnvironmentJobState.FAILED}
    bad_flow = {JobState.BLOCKED, JobState.FAILED}
    stuck = sum(job.state in bad for job in environment_jobs)
    stuck += sum(job.state in bad_flow for job in jobs)
    return Progress(
        state=_state(environment_jobs, jobs, stuck=stuck),
        environments=dict(sorted(Counter(str(job.state) for job in environment_jobs).items())),
        flows=dict(sorted(Counter(str(job.state) for job in jobs).items())),
        stuck=stuck,
        next_due=min(dues, default=None),
    )


def _state(
    environment_jobs: Sequence[EnvironmentJob], jobs: Sequence[FlowJob], *, stuck: int
) -> RemediationState:
    states = {job.state for job in environment_jobs}
    if any(job.awaits_approval for job in environment_jobs):
        return RemediationState.AWAITING_APPROVAL
    if states & _RUNNING or any(not job.is_finished for job in jobs):
        return RemediationState.RUNNING
    if states & _PLANNING or not states:
        return RemediationState.PLANNING
    if stuck:
        return RemediationState.STUCK
    if states == {EnvironmentJobState.CANCELLED}:
        return RemediationState.CANCELLED
    return RemediationState.FINISHED
