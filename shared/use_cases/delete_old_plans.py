"""Delete superseded plans, so that environments without changes do not fill the store.

Three days after its end, a plan that nobody requested is reduced to a summary, which is deleted
after `CMK_PLANS_KEPT`. A requested plan is reduced to a summary after `CMK_PLANS_KEPT`.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.alerts import alert_unreadable_row, catch_row_errors, read_readable
from shared.domain.plans.remediation import EnvironmentJob, PlanKept, Remediation, StartSource
from shared.domain.plans.superseded import find_superseded_jobs, mark_removal_started
from shared.errors import Conflict, NotFound, UnreadableRow
from shared.jobs.job_kinds import FLOW
from shared.logs.fields import get_product_log
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.delete_old_assessments import delete_old_assessments

log = get_product_log(__name__)

#: How long a plan that nobody requested is kept complete. Longer than incomplete starts are
#: completed (`create_missing_jobs_of_recent_remediations`), which would create a deleted job again.
_WHOLE_FOR = timedelta(days=3)
#: Time limit; the daily check must complete within ten minutes, so the rest waits for the next.
_LONGEST = timedelta(minutes=2)


@dataclass(slots=True)
class _Found:
    remediations: dict[str, StoredItem[Remediation]] = field(default_factory=dict)
    jobs: dict[str, StoredItem[EnvironmentJob]] = field(default_factory=dict)
    #: Number of environment jobs by remediation id.
    count: Counter[str] = field(default_factory=Counter)


async def delete_old_plans(services: Services) -> int:
    """Delete rows of superseded plans for at most two minutes.

    Returns how many plans are left for the next check.
    """
    tables, found = services.tables, await _read_plans(services)
    until = services.now + _LONGEST
    # The columns are readable also for rows that are not.
    with_flow_jobs = {
        str(row.columns.get("environment_job_id"))
        async for row in tables.store.query(tables.flow_jobs.name)
    }
    jobs = [kept.item for kept in found.jobs.values()]
    due = [
        one
        for one in find_superseded_jobs(jobs, with_flow_jobs)
        if _is_summary_due(services, one, found.remediations)
        or _is_deletion_due(services, one, found.remediations)
    ]
    for number, job in enumerate(due):
        if services.now > until:
            log.info("old plans left for the next daily check: %s", len(due) - number)
            return len(due) - number
        async with catch_row_errors(services, tables.environment_jobs.get_row_name(job)):
            kept = await _reduce_to_summary(services, found.jobs[job.id])
            if _is_deletion_due(services, job, found.remediations):
                await _delete_environment_job(services, kept)
                found.count[job.remediation_id] -= 1
    await delete_old_assessments(services, found.jobs.values(), until)
    await _remove_old_remediations(services, found)
    await _remove_old_known_urls(services, found)
    await _remove_expected_caller_updates(services)
    return 0


async def _read_plans(services: Services) -> _Found:
    tables, found = services.tables, _Found()
    async for remediation in tables.remediations.scan("remediation"):
        if isinstance(remediation, UnreadableRow):
            await alert_unreadable_row(services, remediation)
        else:
            found.remediations[remediation.item.id] = remediation
    async for job in tables.environment_jobs.scan():
        if isinstance(job, UnreadableRow):
            found.count[job.row[1]] += 1
        else:
            found.jobs[job.item.id] = job
            found.count[job.item.remediation_id] += 1
    return found


def _was_requested(
    remediations: Mapping[str, StoredItem[Remediation]], remediation_id: str
) -> bool:
    """Return whether a person requested the remediation. True if its row cannot be read."""
    kept = remediations.get(remediation_id)
    return kept is None or kept.item.start_source is StartSource.API_REQUEST


def _is_summary_due(
    services: Services, job: EnvironmentJob, remediations: Mapping[str, StoredItem[Remediation]]
) -> bool:
    is_ordered = _was_requested(remediations, job.remediation_id)
    kept_for = services.settings.plans_kept if is_ordered else _WHOLE_FOR
    return job.plan_kept is not PlanKept.SUMMARY and _is_older(services, job.ended_at, kept_for)


def _is_deletion_due(
    services: Services, job: EnvironmentJob, remediations: Mapping[str, StoredItem[Remediation]]
) -> bool:
    is_ordered = _was_requested(remediations, job.remediation_id)
    kept_for = max(services.settings.plans_kept, _WHOLE_FOR)
    return not is_ordered and _is_older(services, job.ended_at, kept_for)


def _is_older(services: Services, moment: datetime | None, age: timedelta) -> bool:
    return moment is not None and services.now - moment >= age


async def _reduce_to_summary(
    services: Services, kept: StoredItem[EnvironmentJob]
) -> StoredItem[EnvironmentJob]:
    """Delete the items of a plan, after the row of its environment job records that."""
    table, job = services.tables.environment_jobs, kept.item
    if job.plan_kept is PlanKept.SUMMARY:
        return kept
    if job.plan_kept is PlanKept.WHOLE:
        kept = await table.replace(kept, mark_removal_started(job, services.now))
    await services.tables.plan_items.clear(job.id)
    return await table.replace(kept, replace(kept.item, plan_kept=PlanKept.SUMMARY))


async def _delete_environment_job(services: Services, kept: StoredItem[EnvironmentJob]) -> None:
    tables = services.tables
    for table in (tables.plan_items, tables.discovery_pages, tables.caller_searches):
        await table.delete_partition(kept.item.id)
    await tables.environment_jobs.delete(kept)


async def _remove_old_remediations(services: Services, found: _Found) -> None:
    table = services.tables.remediations
    kept_for = max(services.settings.plans_kept, _WHOLE_FOR)
    for identity, kept in found.remediations.items():
        is_old = services.now - kept.item.created_at >= kept_for
        if (
            is_old
            and not found.count[identity]
            and kept.item.start_source is not StartSource.API_REQUEST
        ):
            with suppress(Conflict, NotFound):
                await table.delete(kept)


async def _remove_old_known_urls(services: Services, found: _Found) -> None:
    tables = services.tables
    planned = {row.key async for row in tables.store.query(tables.plan_items.name)}
    async for kept in read_readable(services, tables.known_urls.scan()):
        known = kept.item
        by = found.jobs.get(known.found_by)
        if known.workflow_id in planned:
            continue
        if by is None or _is_older(services, by.item.ended_at, services.settings.plans_kept):
            with suppress(Conflict, NotFound):
                await tables.known_urls.delete(kept)


async def _remove_expected_caller_updates(services: Services) -> None:
    """Remove expected caller updates of jobs that have ended or no longer exist.

    A job that starts again writes its row again.
    """
    tables = services.tables
    async for kept in read_readable(services, tables.expected_caller_updates.scan()):
        with suppress(UnreadableRow, Conflict, NotFound):
            job = await tables.flow_jobs.get(kept.item.environment_id, kept.item.job_id)
            if job is None or FLOW.is_ended(job.item):
                await tables.expected_caller_updates.delete(kept)
