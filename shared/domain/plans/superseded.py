"""Find plans that a later plan has replaced and that started nothing."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from shared.domain.plans.current_plan import find_newest_plans
from shared.domain.plans.not_migrated import count_planned_flows
from shared.domain.plans.remediation import EnvironmentJob, PlanKept
from shared.domain.plans.row_limits import select_fitting_findings


def find_superseded_jobs(
    jobs: Collection[EnvironmentJob], with_flow_jobs: Collection[str]
) -> list[EnvironmentJob]:
    """Return the environment jobs whose plans are superseded, the oldest first.

    A plan is superseded once there is a later plan of the whole environment, unless it is part of
    the current plan, was approved, or created flow jobs: evidence and rollback then need it.
    `with_flow_jobs` are the ids of environment jobs that have flow jobs.
    """
    current = {job.id for plans in find_newest_plans(jobs).values() for job in plans}
    newest = _find_last_whole_plan_times(jobs)
    found = [
        (ended, job.id, job)
        for job in jobs
        if (ended := job.ended_at)
        and job.id not in current
        and job.id not in with_flow_jobs
        and not _was_plan_used(job)
        and not job.has_grants_to_check
        and (last := newest.get(job.environment_id))
        and last > ended
    ]
    return [job for *_, job in sorted(found, key=lambda one: one[:2])]


def mark_removal_started(job: EnvironmentJob, now: datetime) -> EnvironmentJob:
    """Return the job with a record that the app is removing the rows of its plan."""
    if job.plan_kept is not PlanKept.WHOLE:
        return job
    text = f"A later plan has replaced this one. Only this summary is kept since {now:%Y-%m-%d}."
    return replace(
        job,
        plan_kept=PlanKept.BEING_REMOVED,
        findings=select_fitting_findings((*job.findings, text)),
        unmatched_trigger_urls=(),
        firewall_issues=(),
        external_hosts=(),
    )


def _was_plan_used(job: EnvironmentJob) -> bool:
    has_started_work = job.has_started_flow_jobs and count_planned_flows(job) > 0
    return job.approval_count > 0 or has_started_work


def _find_last_whole_plan_times(jobs: Iterable[EnvironmentJob]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for job in jobs:
        if job.planned_at and job.not_migrated is not None and not job.flow_ids:
            home = job.environment_id
            last[home] = max(job.planned_at, last.get(home, job.planned_at))
    return last
