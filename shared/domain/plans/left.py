"""What a remediation leaves on Microsoft's key, and why: `finished` alone would hide it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.job import FlowJob
from shared.domain.plans.plan_item import Left, PlanItem, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode


def left_without_job(mode: RemediationMode, items: Iterable[PlanItem]) -> dict[str, int]:
    """Return how many flows of a plan get no job and stay, by why (`Left`)."""
    return dict(Counter(str(why) for item in items if (why := _why(mode, item))))


def left_behind(
    environment_jobs: Sequence[EnvironmentJob], jobs: Iterable[FlowJob]
) -> dict[Left, int]:
    """Return how many flows stay as far as it has come by now, by why; blocked ones first.

    `jobs` need not hold those that have reached what they were begun for.
    """
    count: Counter[Left] = Counter()
    for environment_job in environment_jobs:
        for why, number in (environment_job.left or {}).items():
            count[Left(why)] += number
        if environment_job.state is EnvironmentJobState.CANCELLED:
            count[Left.UNAPPROVED] += environment_job.awaiting
    for job in jobs:
        if job.is_stuck:
            count[Left.BLOCKED] += 1
        elif job.is_undone and job.is_finished:
            count[Left.UNDONE] += 1
    return {why: count[why] for why in Left if count[why]}


def _why(mode: RemediationMode, item: PlanItem) -> Left | None:
    if item.action is PlannedAction.BLOCKED:
        return Left.BLOCKED
    return Left.NOT_ASKED if item.action.is_work and not mode.writes else item.left
