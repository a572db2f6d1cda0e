"""Count the flows that a remediation does not migrate, by reason."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode

#: Counts of closed flow jobs, by environment job and state.
type ClosedCounts = Mapping[str, Mapping[str, int]]


def count_flows_not_included(mode: RemediationMode, items: Iterable[PlanItem]) -> dict[str, int]:
    """Return how many flows of a plan stay and get no flow job, by `NotMigratedReason`."""
    return dict(Counter(str(why) for item in items if (why := find_reason_for_item(mode, item))))


def describe_retired_originals(number: int) -> tuple[str, ...]:
    """Return a finding that counts the retired originals, if there are any: a plan omits them."""
    if not number:
        return ()
    flows = "1 retired original is" if number == 1 else f"{number} retired originals are"
    return (f"{flows} not listed: their copies have replaced them.",)


def count_not_migrated(
    environment_jobs: Sequence[EnvironmentJob],
    jobs: Iterable[FlowJob],
    closed: Iterable[Mapping[str, int]] = (),
) -> dict[NotMigratedReason, int]:
    """Return how many flows are not migrated by reason, in the order of `NotMigratedReason`.

    `jobs` may omit those that have reached their goal. `closed` counts jobs that are not among
    them, by state.
    """
    count: Counter[NotMigratedReason] = Counter()
    for environment_job in environment_jobs:
        for why, number in (environment_job.not_migrated or {}).items():
            count[NotMigratedReason(why)] += number
        count[_find_reason_without_job(environment_job)] += count_flows_without_job(environment_job)
    count.update(found for job in jobs if (found := find_reason_for_job(job)))
    for states in closed:
        for state, number in states.items():
            if FLOW_STATES[FlowJobState(state)].is_withdrawn:
                count[NotMigratedReason(state)] += number
    return {why: count[why] for why in NotMigratedReason if count[why]}


def count_flows_without_job(job: EnvironmentJob) -> int:
    """Return how many flows of a plan are to get a flow job and have none.

    For a cancelled plan, returns how many were to get one.
    """
    is_cancelled = job.state is EnvironmentJobState.CANCELLED
    if not job.mode.writes or (job.state_properties.is_over and not is_cancelled):
        return 0
    has_jobs = job.may_have_flow_jobs if is_cancelled else job.has_started_flow_jobs
    return job.awaiting_approval_count if has_jobs else count_planned_flows(job)


def count_planned_flows(job: EnvironmentJob) -> int:
    """Return how many flows the plan of an environment job has to migrate or prepare."""
    return sum(
        (job.planned_action_counts or {}).get(action, 0)
        for action in PlannedAction
        if action.is_work
    )


def _find_reason_without_job(job: EnvironmentJob) -> NotMigratedReason:
    if job.state is EnvironmentJobState.CANCELLED:
        return find_reason_for_cancelled(job)
    if job.awaits_approval:
        return NotMigratedReason.AWAITING_APPROVAL
    if job.needs_action:
        return (
            NotMigratedReason.FAILED
            if job.state is EnvironmentJobState.FAILED
            else NotMigratedReason.BLOCKED
        )
    return NotMigratedReason.IN_PROGRESS


def find_reason_for_cancelled(job: EnvironmentJob) -> NotMigratedReason:
    """Return why flows without a flow job are not migrated after their environment job was
    cancelled.
    """
    return NotMigratedReason.APPROVAL_EXPIRED if job.has_expired else NotMigratedReason.CANCELLED


def find_reason_for_item(mode: RemediationMode, item: PlanItem) -> NotMigratedReason | None:
    """Return why a flow of a plan stays and gets no flow job.

    Returns None if it gets one, or if it does not stay.
    """
    if item.needs_changes:
        return NotMigratedReason.NEEDS_CHANGES
    return (
        NotMigratedReason.DRY_RUN
        if item.action.is_work and not mode.writes
        else item.not_migrated_reason
    )


def find_reason_for_job(job: FlowJob) -> NotMigratedReason | None:
    """Return why the flow of a job is not migrated, or None if it is migrated or prepared."""
    if job.needs_action:
        return (
            NotMigratedReason.FAILED
            if job.state is FlowJobState.FAILED
            else NotMigratedReason.BLOCKED
        )
    if not job.is_inactive:
        return NotMigratedReason.IN_PROGRESS
    return NotMigratedReason(job.state) if job.is_withdrawn else None
