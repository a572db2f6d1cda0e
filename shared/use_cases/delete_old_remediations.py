"""Delete remediations whose originals were deleted more than `CMK_REMEDIATIONS_KEPT` ago.

The files are deleted first, then the remediation, and last the row of the deletion, which leads to
the others. So after a crash the next daily check continues.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from shared.alerts import catch_row_errors, read_readable
from shared.domain.jobs.deletion import RECYCLE_BIN, Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, NotFound
from shared.logs.fields import get_product_log
from shared.ports import Condition
from shared.services import Services
from shared.state.rows import Table

log = get_product_log(__name__)

#: Flow jobs after which the rest waits for the next daily check.
_MOST = 1_000


async def delete_old_remediations(services: Services) -> int:
    """Delete old remediations and their archived files.

    Returns the number of deleted flow jobs. A remediation stays while an original of it can be
    restored, or a retention policy keeps a file of it.
    """
    kept_for = services.settings.remediations_kept
    if kept_for is None:
        return 0
    before = services.now - max(kept_for, RECYCLE_BIN)
    old: dict[str, list[Deletion]] = {}
    where = [Condition("state", "eq", DeletionState.DELETED)]
    async for kept in read_readable(services, services.tables.deletions.scan(where=where)):
        if max(kept.item.delete_at, kept.item.deleted_at or kept.item.delete_at) < before:
            old.setdefault(kept.item.remediation_id, []).append(kept.item)
    in_use, originals = await _find_remediations_in_use(services, old)
    count, files = 0, list[str]()
    for remediation_id, deletions in sorted(old.items()):
        if remediation_id in in_use:
            continue
        if count >= _MOST:
            break
        row = (services.tables.remediations.name, "remediation", remediation_id)
        async with catch_row_errors(services, row):
            if await _is_remediation_over(services, remediation_id):
                some = deletions[: _MOST - count]
                files = files or await services.archive.list_names()
                try:
                    await _delete_files(services, remediation_id, some, originals, files)
                except Conflict as err:
                    log.info("an old remediation stays", extra={"text": err})
                    continue
                await _delete_remediation(services, remediation_id, some)
                count += len(some)
    if count:
        log.info("old remediations deleted", extra={"count": count})
    return count


async def _find_remediations_in_use(
    services: Services, old: Mapping[str, Sequence[Deletion]]
) -> tuple[set[str], Counter[str]]:
    """Return the remediations in use, and the number of flow jobs of each original.

    A remediation is in use while one of its originals is not deleted. Reads only columns, which are
    readable even if the row is not.
    """
    in_use, originals = set[str](), Counter[str]()
    if not old:
        return in_use, originals
    deleted = {one.job_id for deletions in old.values() for one in deletions}
    table = services.tables.flow_jobs
    async for row in table.store.query(table.name):
        originals[str(row.columns.get("original_id"))] += 1
        if row.key not in deleted or row.columns.get("state") != FlowJobState.RETIRED:
            in_use.add(str(row.columns.get("remediation_id")))
    return in_use, originals


async def _is_remediation_over(services: Services, remediation_id: str) -> bool:
    tables = services.tables
    if await tables.remediations.get("remediation", remediation_id) is None:
        return True  # an earlier check has begun to delete it
    plans = await tables.environment_jobs.read_all(remediation_id)
    return all(plan.state_properties.is_over for plan in plans)


async def _delete_files(
    services: Services,
    remediation_id: str,
    deletions: Sequence[Deletion],
    originals: Counter[str],
    files: Sequence[str],
) -> None:
    """Delete run archives, definitions and approved plans. Raises `Conflict` if a file is kept.

    The newest are deleted first, because a retention policy keeps these longest. The definitions of
    an original stay while another job names them.
    """
    last = [one for one in deletions if originals[one.original_id] == 1]
    jobs = await services.tables.environment_jobs.read_all(remediation_id)
    folders = {
        *(f"runs/{one.environment_id}/{one.job_id}" for one in deletions),
        *(f"{one.environment_id}/{one.original_id}" for one in last),
        *(f"plans/{plan.id}" for plan in jobs),
    }
    endings = {f"before-{one.job_id}.json" for one in deletions}
    ours = [
        name
        for name in files
        if name.rpartition("/")[0] in folders or name.rpartition("/")[2] in endings
    ]
    for name in sorted(
        ours, key=lambda one: (one.startswith("plans/"), not one.startswith("runs/"))
    ):
        await services.archive.delete(name)


async def _delete_remediation(
    services: Services, remediation_id: str, deletions: Sequence[Deletion]
) -> None:
    tables = services.tables
    await _delete_row(tables.remediations, "remediation", remediation_id)
    for plan in await tables.environment_jobs.read_all(remediation_id):
        for table in (tables.plan_items, tables.discovery_pages, tables.caller_searches):
            await table.delete_partition(plan.id)
        await _delete_row(tables.environment_jobs, remediation_id, plan.id)
    for one in deletions:
        await tables.callers.delete_partition(one.job_id)
        await tables.caller_edit_intents.delete_partition(one.job_id)
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
