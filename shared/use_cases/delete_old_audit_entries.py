"""Delete audit entries that are older than `CMK_AUDIT_LOG_KEPT`, some at each daily check.

A seal is deleted as a whole, before its entries, so that no entry counts as removed from a seal
that exists. If the app has a key to seal, entries that are not sealed stay.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched

from shared.domain.audit import build_boundary_key
from shared.domain.audit_seal import AuditSeal, build_entry_list_name
from shared.errors import Conflict, NotFound
from shared.logs.fields import get_product_log
from shared.ports import DeleteRow
from shared.services import Services
from shared.state.rows import FENCE, StoredItem
from shared.use_cases.seal_audit_log import AUDIT, SEALS

log = get_product_log(__name__)

#: Entries of one daily check, and of one batch of Tables.
_MOST, _BATCH = 10_000, 100
#: The request that started a remediation is older than its row.
_REQUEST = timedelta(minutes=4)


async def delete_old_audit_entries(services: Services) -> int:
    """Delete entries and seals that are too old, and return how many entries were deleted.

    Entries since the start of an open remediation stay. Raises `UnreadableRow` if a seal, a plan or
    its remediation is unreadable.
    """
    kept_for = services.settings.audit_log_kept
    if kept_for is None:
        return 0
    ends_at = min(services.now - kept_for, await _read_start_of_oldest_open_remediation(services))
    seals = [kept async for kept in services.tables.audit_seals.query(SEALS)]
    for kept in reversed(seals[1:]):  # the newest stays: the next one refers to it
        if kept.item.ends_at > ends_at:
            break
        try:
            await services.archive.delete(build_entry_list_name(kept.item.statement))
        except Conflict:  # a retention policy keeps the list, so the entries stay, too
            break
        with suppress(NotFound):
            await services.tables.audit_seals.delete(kept)
        seals.remove(kept)
    deleted = await _delete_entries(services, _find_deletable_until(services, seals, ends_at))
    if deleted:
        log.info("old audit entries deleted", extra={"count": deleted})
    return deleted


def _find_deletable_until(
    services: Services, seals: list[StoredItem[AuditSeal]], ends_at: datetime
) -> datetime | None:
    """Return the time before which entries may be deleted, or None."""
    if not seals:
        return None if services.settings.evidence_key else ends_at
    begins_at = seals[-1].item.statement.begins_at
    return begins_at and min(begins_at, ends_at)


async def _read_start_of_oldest_open_remediation(services: Services) -> datetime:
    tables, first = services.tables, services.now
    async for job in tables.environment_jobs.query():
        if not job.item.state_properties.is_over:
            kept = await tables.remediations.get("remediation", job.item.remediation_id)
            first = min(first, kept.item.created_at - _REQUEST) if kept else first
    return first


async def _delete_entries(services: Services, ends_at: datetime | None) -> int:
    if ends_at is None:
        return 0
    store, table = services.tables.store, services.tables.audit_log.name
    rows = []
    async for row in store.query(table, AUDIT, after=build_boundary_key(ends_at)):
        if row.key != FENCE:
            rows.append(DeleteRow(replace(row, columns={}, etag=None)))
        if len(rows) == _MOST:
            break
    for some in batched(rows, _BATCH, strict=False):
        with suppress(NotFound):  # another invocation deletes them
            await store.write(*some)
    return len(rows)
