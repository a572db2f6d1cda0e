"""Show a page of the audit log."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.audit import AuditEntry, AuditFilter, build_boundary_key, parse_key_time
from shared.domain.audit_seal import SealedEntry
from shared.errors import UnreadableRow
from shared.ports import Condition, StoreRow
from shared.services import Services
from shared.use_cases.seal_audit_log import read_audit_rows

#: Most rows that are read for a page; an entry has up to two.
ROWS_OF_PAGE = 2_000
#: Later than every key.
_LAST_KEY = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A page of the audit log, newest entries first."""

    items: tuple[AuditEntry, ...]
    #: Start of the next page; empty on the last page.
    next: str
    #: Rows on this page that this version of the app cannot read.
    unreadable_rows: tuple[UnreadableRow, ...]
    #: The time up to which the log was searched, if more rows have to be searched than one page
    #: reads: the page may have fewer entries than its limit. None otherwise.
    searched_until: datetime | None
    #: Every row that was read, also of entries that the filter does not accept.
    rows: tuple[SealedEntry, ...]
    #: The keys between which these are all rows: the first is not included, the last is.
    keys: tuple[str, str]


@dataclass(slots=True)
class _Reading:
    items: list[AuditEntry] = field(default_factory=list)
    unreadable: list[UnreadableRow] = field(default_factory=list)
    rows: list[SealedEntry] = field(default_factory=list)
    #: Id of the entry that was read last, and of its row.
    entry_id: str = ""
    key: str = ""

    @property
    def shown_count(self) -> int:
        return len(self.items) + len(self.unreadable)


async def show_audit(
    services: Services,
    wanted: AuditFilter,
    *,
    limit: int,
    after: str = "",
    row_limit: int = ROWS_OF_PAGE,
) -> AuditPage:
    """Return a page of up to `limit` entries that the filter accepts, newest first.

    `after` is where the page starts; "" is the newest entry. Reads about `row_limit` rows at most,
    however long the log is.
    """
    environment_ids = await _read_environment_ids(services, wanted.environment_id)
    begin = max(after, build_boundary_key(wanted.until) if wanted.until else "")
    end = build_boundary_key(wanted.since) if wanted.since else _LAST_KEY
    read = _Reading(key=begin)
    is_whole = True
    async for sealed, row in read_audit_rows(services, after=begin, before=end):
        found = _parse_entry(services, row)
        begins_entry = isinstance(found, UnreadableRow) or found.id != read.entry_id
        if begins_entry and (read.shown_count >= limit or len(read.rows) >= row_limit):
            is_whole = False
            break
        read.rows.append(sealed)
        read.key = sealed.key
        if isinstance(found, UnreadableRow):
            read.unreadable.append(found)
        elif begins_entry:  # the row with the result comes before its request
            read.entry_id = found.id
            if wanted.accepts(found, environment_ids):
                read.items.append(found)
    is_cut = not is_whole and read.shown_count < limit
    return AuditPage(
        items=tuple(read.items),
        next="" if is_whole else read.key,
        unreadable_rows=tuple(read.unreadable),
        searched_until=parse_key_time(read.key) if is_cut else None,
        rows=tuple(read.rows),
        keys=(begin, end if is_whole else read.key),
    )


def _parse_entry(services: Services, row: StoreRow) -> AuditEntry | UnreadableRow:
    try:
        return services.tables.audit_log.parse_row(row).item
    except UnreadableRow as err:
        return err


async def _read_environment_ids(services: Services, environment_id: str) -> frozenset[str]:
    """Return the ids of an environment and of its remediations, by which entries name it."""
    if not environment_id:
        return frozenset()
    where = [Condition("environment_id", "eq", environment_id)]
    jobs = services.tables.environment_jobs.scan(where=where)
    found = [
        job.row[1] if isinstance(job, UnreadableRow) else job.item.remediation_id
        async for job in jobs
    ]
    return frozenset({environment_id, *found})
