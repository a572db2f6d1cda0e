"""Delete assessments that a later one has replaced.

The result is deleted after `CMK_PLANS_KEPT`, the rows after `CMK_REMEDIATIONS_KEPT`. The newest
complete assessment of an environment stays, because pages show it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared.alerts import catch_row_errors
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.remediation import EnvironmentJob, PlanKept
from shared.errors import Conflict, NotFound
from shared.services import Services
from shared.state.rows import StoredItem


async def delete_old_assessments(
    services: Services, kept_jobs: Iterable[StoredItem[EnvironmentJob]], until: datetime
) -> None:
    """Delete the results and rows of replaced assessments. Stops at the time `until`."""
    jobs = [kept for kept in kept_jobs if kept.item.assessment]
    newest = _get_newest_end_times([kept.item for kept in jobs])
    settings = services.settings
    for kept in jobs:
        job = kept.item
        if services.now > until:
            return
        if job.ended_at is None or job.ended_at >= newest.get(job.environment_id, job.ended_at):
            continue
        age = services.now - job.ended_at
        async with catch_row_errors(services, services.tables.environment_jobs.get_row_name(job)):
            with suppress(Conflict):  # a retention policy keeps the file, so its row stays
                if job.answer and age >= settings.plans_kept:
                    kept = await _delete_assessment_result(services, kept)
                is_old = settings.remediations_kept and age >= settings.remediations_kept
                if is_old and not kept.item.answer:
                    await _delete_assessment_rows(services, kept)


def _get_newest_end_times(jobs: Iterable[EnvironmentJob]) -> dict[str, datetime]:
    newest: dict[str, datetime] = {}
    for job in jobs:
        if job.state is EnvironmentJobState.COMPLETED and job.answer and job.ended_at:
            home = job.environment_id
            newest[home] = max(job.ended_at, newest.get(home, job.ended_at))
    return newest


async def _delete_assessment_result(
    services: Services, kept: StoredItem[EnvironmentJob]
) -> StoredItem[EnvironmentJob]:
    await services.archive.delete(kept.item.answer)
    text = (
        "A later assessment has replaced this one. Its result was deleted on "
        f"{services.now:%Y-%m-%d}."
    )
    job = replace(kept.item, answer="", plan_kept=PlanKept.SUMMARY, message=text)
    return await services.tables.environment_jobs.replace(kept, job)


async def _delete_assessment_rows(services: Services, kept: StoredItem[EnvironmentJob]) -> None:
    """Delete the row of the remediation before that of the job, which leads to it."""
    tables, job = services.tables, kept.item
    if remediation := await tables.remediations.get("remediation", job.remediation_id):
        with suppress(NotFound):
            await tables.remediations.delete(remediation)
    for table in (tables.plan_items, tables.discovery_pages, tables.caller_searches):
        await table.delete_partition(job.id)
    with suppress(NotFound):
        await tables.environment_jobs.delete(kept)
