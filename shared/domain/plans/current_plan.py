"""Find the plan that currently applies to an environment."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.not_migrated import count_flows_not_included
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPlan:
    """The current plan of an environment, which may consist of several environment jobs' plans."""

    #: The newest first. Its `not_migrated` has the counts of all of them.
    environment_jobs: tuple[EnvironmentJob, ...]
    #: Flows that a person has to change, each with the environment job that planned it.
    needs_changes: tuple[tuple[EnvironmentJob, PlanItem], ...] = ()


def find_newest_plans(
    environment_jobs: Iterable[EnvironmentJob],
) -> dict[str, list[EnvironmentJob]]:
    """Return, by environment, the environment jobs whose plans currently apply, newest first.

    These are the last plan of the whole environment and later plans of named flows. If any of them
    writes, plans that only read are omitted.
    """
    planned: dict[str, list[EnvironmentJob]] = defaultdict(list)
    for job in environment_jobs:
        if job.planned_at and job.not_migrated is not None:
            planned[job.environment_id].append(job)
    found = {}
    for environment_id, jobs in planned.items():
        jobs = [job for job in jobs if job.mode.writes] or jobs
        jobs.sort(key=lambda job: str(job.planned_at), reverse=True)
        whole = next((at for at, job in enumerate(jobs, 1) if not job.flow_ids), len(jobs))
        found[environment_id] = jobs[:whole]
    return found


def find_current_plan(
    jobs: Sequence[EnvironmentJob], items: Mapping[str, Sequence[PlanItem]]
) -> CurrentPlan:
    """Return the current plan of an environment.

    `items` contains the plan items of each job, by job id.

    If there is only one job, `items` may omit those that need no changes.
    """
    planned: dict[str, tuple[EnvironmentJob, PlanItem]] = {}
    for job in jobs:
        for item in items[job.id]:
            planned.setdefault(item.workflow_id, (job, item))
    if len(jobs) > 1:
        left = count_flows_not_included(jobs[0].mode, (item for _, item in planned.values()))
        jobs = [
            replace(jobs[0], not_migrated=left),
            *(_without_flows_of_newer_plans(job, items[job.id], planned) for job in jobs[1:]),
        ]
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


def _without_flows_of_newer_plans(
    job: EnvironmentJob,
    items: Sequence[PlanItem],
    planned: Mapping[str, tuple[EnvironmentJob, PlanItem]],
) -> EnvironmentJob:
    again = [
        item for item in items if item.action.is_work and planned[item.workflow_id][0].id != job.id
    ]
    counts = Counter(job.planned_action_counts or {})
    counts.subtract(item.action for item in again)
    awaiting = job.awaiting_approval_count - sum(item.awaits_approval for item in again)
    return replace(
        job,
        not_migrated=None,
        planned_action_counts={action: max(0, number) for action, number in counts.items()},
        awaiting_approval_count=max(0, awaiting),
    )
