"""The plan that an environment has now, put together from its environment jobs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.not_migrated import count_not_included
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPlan:
    """What the environment jobs with the newest plans say of an environment."""

    #: The newest first. The first of them has in `left` what all of them leave.
    environment_jobs: tuple[EnvironmentJob, ...]
    #: Flows that a person has to change, each with the environment job that planned it.
    needs_changes: tuple[tuple[EnvironmentJob, PlanItem], ...] = ()


def newest_plans(environment_jobs: Iterable[EnvironmentJob]) -> dict[str, list[EnvironmentJob]]:
    """Return the environment jobs whose plans hold now, by environment, the newest first.

    These are the last plan of the whole environment and the later ones of named flows. Plans that
    write come before those that only look.
    """
    planned: dict[str, list[EnvironmentJob]] = defaultdict(list)
    for job in environment_jobs:
        if job.planned_at and job.left is not None:
            planned[job.environment_id].append(job)
    found = {}
    for environment_id, jobs in planned.items():
        jobs = [job for job in jobs if job.mode.writes] or jobs
        jobs.sort(key=lambda job: str(job.planned_at), reverse=True)
        whole = next((at for at, job in enumerate(jobs, 1) if not job.flow_ids), len(jobs))
        found[environment_id] = jobs[:whole]
    return found


def current_plan(
    jobs: Sequence[EnvironmentJob], items: Mapping[str, Sequence[PlanItem]]
) -> CurrentPlan:
    """Return the plan of an environment; `items` has all items of each job, by the job's id.

    With one job, `items` need only hold those that need changes.
    """
    planned: dict[str, tuple[EnvironmentJob, PlanItem]] = {}
    for job in jobs:
        for item in items[job.id]:
            planned.setdefault(item.workflow_id, (job, item))
    if len(jobs) > 1:
        left = count_not_included(jobs[0].mode, (item for _, item in planned.values()))
        jobs = [replace(jobs[0], left=left), *(replace(job, left=None) for job in jobs[1:])]
    return CurrentPlan(
        environment_jobs=tuple(jobs),
        needs_changes=tuple(
            (job, item)
            for job, item in planned.values()
            if item.needs_changes
            and job.mode.writes
            and job.state is not EnvironmentJobState.CANCELLED
        ),
    )
