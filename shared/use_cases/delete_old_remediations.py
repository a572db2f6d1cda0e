"""Delete remediations whose originals were all deleted more than `CMK_REMEDIATIONS_KEPT` ago.

The remediation goes first and the row of the deletion, which leads to the others, last. So each
step may be repeated, and the next daily check continues after a crash.
"""

from collections.abc import Mapping, Sequence
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
    in_use = await _find_in_use(services, old)
    count = 0
    for remediation_id, deletions in sorted(old.items()):
        if remediation_id in in_use:
            continue
        if count >= _MOST:
            break
        row = (services.tables.remediations.name, "remediation", remediation_id)
        async with one_row(services, row):
            if await _is_over(services, remediation_id):
                some = deletions[: _MOST - count]
                await _delete(services, remediation_id, some)
                count += len(some)
    if count:
        log.info("old remediations deleted", extra={"count": count})
    return count


async def _find_in_use(services: Services, old: Mapping[str, Sequence[Deletion]]) -> set[str]:
    """Return the remediations with a flow whose original is not deleted, in one scan.

    The columns are readable also for rows that are not.
    """
    if not old:
        return set()
    deleted = {one.job_id for deletions in old.values() for one in deletions}
    table = services.tables.flow_jobs
    return {
        str(row.columns.get("remediation_id"))
        async for row in table.store.query(table.name)
        if row.key not in deleted or row.columns.get("state") != FlowJobState.RETIRED
    }


async def _is_over(services: Services, remediation_id: str) -> bool:
    """Return whether all plans are over; raise `UnreadableRow`."""
    tables = services.tables
    if await tables.remediations.get("remediation", remediation_id) is None:
        return True  # an earlier check has begun to delete it
    plans = await tables.environment_jobs.all(remediation_id)
    return all(plan.state_properties.is_over for plan in plans)


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
