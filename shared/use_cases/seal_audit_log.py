"""Seal the audit log: sign what it contains, in complete days.

See docs/adr/0024-sealed-audit-log.md.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

from shared.domain.audit import build_boundary_key
from shared.domain.audit_seal import (
    AuditSeal,
    SealedEntry,
    build_entry_list_name,
    build_statement,
    format_sealed_entries,
    format_statement,
    hash_text,
)
from shared.errors import AlreadyExists
from shared.logs.fields import get_product_log
from shared.ports import StoreRow
from shared.services import Services
from shared.state.rows import FENCE, get_stored_text
from shared.use_cases.sign_content import sign_content

log = get_product_log(__name__)

#: Partition of the audit log.
AUDIT = "audit"
#: Partition of the seals.
SEALS = "seal"


async def seal_audit_log(services: Services) -> None:
    """Seal the entries of the audit log since the last seal, up to the last midnight (UTC).

    A day is sealed `in_flight_timeout` after its end, when no invocation can add an entry to it.
    Does nothing without a key, or if nothing is due. If two invocations seal at the same time, only
    one stores its seal. Raises the errors of store, archive and vault: the next seal then covers
    more days.
    """
    if not services.settings.evidence_key:
        return
    latest = services.now - services.settings.in_flight_timeout
    ends_at = latest.replace(hour=0, minute=0, second=0, microsecond=0)
    last = await read_last_seal(services)
    if last and last.ends_at >= ends_at:
        return
    entries = await _read_entries(services, last.ends_at if last else None, ends_at)
    statement = build_statement(last, entries, ends_at=ends_at, sealed_at=services.now)
    await services.archive.put(build_entry_list_name(statement), format_sealed_entries(entries))
    text = format_statement(statement)
    signature = await sign_content(services, text.encode())
    seal = AuditSeal(number=statement.number, ends_at=ends_at, text=text, signature=signature)
    with suppress(AlreadyExists):
        await services.tables.audit_seals.insert(seal)
        log.info("audit log sealed", extra={"count": len(entries)})


async def read_last_seal(services: Services) -> AuditSeal | None:
    """Return the newest seal, or None. Raises `UnreadableRow` if its row is damaged."""
    async for kept in services.tables.audit_seals.query(SEALS):
        return kept.item
    return None


async def read_audit_rows(
    services: Services, *, after: str | None = None, before: str | None = None
) -> AsyncIterator[tuple[SealedEntry, StoreRow]]:
    """Yield each row of the audit log between two keys, newest first, with its key and digest."""
    table = services.tables.audit_log
    async for row in table.store.query(table.name, AUDIT, before=before, after=after):
        if row.key != FENCE:
            yield SealedEntry(key=row.key, sha256=hash_text(get_audit_text(row))), row


def get_audit_text(row: StoreRow) -> str:
    """Return the stored text of an audit entry, or "" if the row is incomplete."""
    try:
        return get_stored_text(row)
    except (KeyError, ValueError):
        return ""


async def _read_entries(
    services: Services, begins_at: datetime | None, ends_at: datetime
) -> list[SealedEntry]:
    found = []
    end = build_boundary_key(begins_at) if begins_at else None
    async for entry, _ in read_audit_rows(services, after=build_boundary_key(ends_at), before=end):
        found.append(entry)
    return found
