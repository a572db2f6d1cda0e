"""Plans that nothing needs any more: a newer one says what they say, and nothing came of them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from shared.domain.plans.current_plan import newest_plans
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, PlanKept
from shared.domain.plans.row_limits import fitting_findings


def superseded(
    jobs: Collection[EnvironmentJob], with_flow_jobs: Collection[str]
) -> list[EnvironmentJob]:
    """Return the environment jobs whose plans are superseded, the one first that ended first.

    A plan is superseded once a later plan of its whole environment stands, unless it is part of the
    current plan, somebody approved it, or it made flow jobs: evidence and rollback need it then.
    `with_flow_jobs` are the ids of environment jobs that flow jobs belong to.
    """
    current = {job.id for plans in newest_plans(jobs).values() for job in plans}
    newest = _last_whole_plans(jobs)
    found = [
        (ended, job.id, job)
        for job in jobs
        if (ended := job.ended_at)
        and job.id not in current
        and job.id not in with_flow_jobs
        and not _made_something(job)
        and not job.has_loans_to_check
        and (last := newest.get(job.environment_id))
        and last > ended
    ]
    return [job for *_, job in sorted(found, key=lambda one: one[:2])]


def being_removed(job: EnvironmentJob, now: datetime) -> EnvironmentJob:
    """Return the job as it is from the moment on in which the rows of its plan are removed."""
    if job.plan_kept is not PlanKept.WHOLE:
        return job
    text = f"Since {now:%Y-%m-%d} only this summary is kept: a later plan has replaced this one."
    return replace(
        job,
        plan_kept=PlanKept.BEING_REMOVED,
        findings=fitting_findings((*job.findings, text)),
        unmatched_trigger_urls=(),
        network=(),
        external_hosts=(),
    )


def _made_something(job: EnvironmentJob) -> bool:
    """Return whether it may have made flow jobs, or somebody decided on it."""
    has_work = any((job.counts or {}).get(action) for action in PlannedAction if action.is_work)
    return job.approval_count > 0 or (job.has_started_flow_jobs and has_work)


def _last_whole_plans(jobs: Iterable[EnvironmentJob]) -> dict[str, datetime]:
    """Return when the last plan of each whole environment was made, by the environment's id."""
    last: dict[str, datetime] = {}
    for job in jobs:
        if job.planned_at and job.left is not None and not job.flow_ids:
            home = job.environment_id
            last[home] = max(job.planned_at, last.get(home, job.planned_at))
    return last
