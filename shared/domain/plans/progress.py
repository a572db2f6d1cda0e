"""Compute the progress of a remediation from its jobs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.not_migrated import count_not_migrated
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationProgress:
    """The state and the counts of a remediation."""

    state: RemediationState
    #: Number of jobs by state.
    environment_states: dict[str, int]
    flow_states: dict[str, int]
    #: Number of blocked or failed jobs.
    action_required_count: int
    #: Number of flows that were on and whose original and copy are both off.
    both_off_count: int
    #: Number of flows that are not migrated so far, by `NotMigratedReason`.
    not_migrated: dict[str, int]
    #: When the app continues; None: it waits for a person.
    next_check_at: datetime | None
    #: When the first plan that awaits approval expires; None: none does.
    approval_expires_at: datetime | None

    @property
    def states(self) -> frozenset[RemediationState]:
        """Return the states under which a list finds the remediation.

        These are its own state, and `blocked` if any of its jobs is blocked or failed.
        """
        stuck = {RemediationState.BLOCKED} if self.action_required_count else set()
        return frozenset({self.state, *stuck})


def compute_progress(
    environment_jobs: Sequence[EnvironmentJob],
    jobs: Sequence[FlowJob],
    closed: Sequence[Mapping[str, int]] = (),
) -> RemediationProgress:
    """Return the progress of a remediation with these jobs.

    `closed` counts closed flow jobs that are not among `jobs`, by state.
    """
    flows = Counter(str(job.state) for job in jobs)
    for states in closed:
        flows.update(states)
    # In these states an environment job only waits, so its wake-up says nothing about progress.
    only_watch = {EnvironmentJobState.RUNNING_FLOW_JOBS, EnvironmentJobState.AWAITING_APPROVAL}
    planning = [job.next_check_at for job in environment_jobs if job.state not in only_watch]
    dues = [due for due in (*planning, *(job.next_check_at for job in jobs)) if due]
    expiries = [
        job.approval_expires_at
        for job in environment_jobs
        if job.awaits_approval and job.approval_expires_at
    ]
    stuck = sum(job.needs_action for job in environment_jobs) + sum(
        job.needs_action for job in jobs
    )
    return RemediationProgress(
        state=_compute_remediation_state(environment_jobs, jobs),
        environment_states=dict(
            sorted(Counter(str(job.state) for job in environment_jobs).items())
        ),
        flow_states=dict(sorted(flows.items())),
        action_required_count=stuck,
        both_off_count=sum(job.reason_code == Reason.BOTH_OFF for job in jobs),
        not_migrated={
            str(why): number
            for why, number in count_not_migrated(environment_jobs, jobs, closed).items()
        },
        next_check_at=min(dues, default=None),
        approval_expires_at=min(expiries, default=None),
    )


def _compute_remediation_state(
    environment_jobs: Sequence[EnvironmentJob], jobs: Sequence[FlowJob]
) -> RemediationState:
    shown = {job.state_properties.remediation_state for job in environment_jobs}
    if any(job.awaits_approval for job in environment_jobs):
        shown.add(RemediationState.AWAITING_APPROVAL)
    if any(not job.is_inactive for job in jobs):
        shown.add(RemediationState.IN_PROGRESS)
    if any(job.needs_action for job in jobs):
        shown.add(RemediationState.BLOCKED)
    order = list(RemediationState)
    return min(shown, key=order.index, default=RemediationState.PLANNING)
