"""Delete remediations whose originals were all deleted more than `CMK_REMEDIATIONS_KEPT` ago.

The remediation goes first and the row of the deletion, which leads to the others, last. So each
step may be repeated, and the next daily check continues after a crash.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from shared.alerts import one_row, readable
from shared.domain.jobs.deletion import RECYCLE_BIN, Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import NotFound
from shared.log_fields import product_log
from shared.ports import Condition
from shared.rows import Table
from shared.services import Services

log = product_log(__name__)

#: Flow jobs after which the rest waits for the next daily check.
_MOST = 1_000


async def delete_old_remediations(services: Services) -> int:
    """Delete the rows of old remediations; return the number of their flow jobs.

    Archived files stay. While an original can be restored, its remediation stays.
    """
    kept_for = services.settings.remediations_kept
    if kept_for is None:
        return 0
    before = services.now - max(kept_for, RECYCLE_BIN)
    old: dict[str, list[Deletion]] = {}
    where = [Condition("state", "eq", DeletionState.DELETED)]
    async for kept in readable(services, services.tables.deletions.scan(where=where)):
        if max(kept.item.delete_at, kept.item.deleted_at or kept.item.delete_at) < before:
            old.setdefault(kept.item.remediation_id, []).append(kept.item)
    count = 0
    for remediation_id, deletions in sorted(old.items()):
        if count >= _MOST:
            break
        row = (services.tables.remediations.name, "remediation", remediation_id)
        async with one_row(services, row):
            if await _is_over(services, remediation_id, {one.job_id for one in deletions}):
                some = deletions[: _MOST - count]
                await _delete(services, remediation_id, some)
                count += len(some)
    if count:
        log.info("old remediations deleted", extra={"count": count})
    return count


async def _is_over(services: Services, remediation_id: str, deleted: set[str]) -> bool:
    """Return whether all work is complete and all originals are deleted; raise `UnreadableRow`."""
    tables = services.tables
    if await tables.remediations.get("remediation", remediation_id) is None:
        return True  # an earlier check has begun to delete it
    plans = await tables.environment_jobs.all(remediation_id)
    where = [Condition("remediation_id", "eq", remediation_id)]
    jobs = await tables.flow_jobs.all(where=where)
    return all(plan.state_properties.is_over for plan in plans) and all(
        job.id in deleted and job.state is FlowJobState.RETIRED for job in jobs
    )


async def _delete(services: Services, remediation_id: str, deletions: Sequence[Deletion]) -> None:
    tables = services.tables
    await _delete_row(tables.remediations, "remediation", remediation_id)
    for plan in await tables.environment_jobs.all(remediation_id):
        for table in (tables.plan_items, tables.discovery_pages, tables.caller_searches):
            await table.forget(plan.id)
        await _delete_row(tables.environment_jobs, remediation_id, plan.id)
    for one in deletions:
        await tables.callers.forget(one.job_id)
        await tables.caller_edit_intents.forget(one.job_id)
        last: tuple[Table[Any], ...] = (
            tables.observed_callers,
            tables.run_archives,
            tables.flow_jobs,
            tables.deletions,
        )
        for row_of in last:
            await _delete_row(row_of, one.environment_id, one.job_id)


async def _delete_row(table: Table[Any], partition: str, key: str) -> None:
    if kept := await table.get(partition, key):
        with suppress(NotFound):
            await table.delete(kept)
