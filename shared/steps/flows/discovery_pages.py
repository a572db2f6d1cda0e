"""Store what a discovery has read, page by page, so that it continues after a crash."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched

from shared.domain.flow import FlowListEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.discovery import (
    FLOWS_IN_A_ROW,
    LONGEST,
    DiscoveryPage,
    DiscoveryPosition,
    DiscoverySource,
    get_position,
    is_stale,
    list_outdated_sources,
    list_whole_pages,
)
from shared.errors import NotFound, PlatformError, ServiceUnavailable, UnreadableRow
from shared.jobs.fenced_rows import FencedRows
from shared.logs.fields import get_product_log
from shared.ports import Condition, ResultPage
from shared.services import Services
from shared.state.rows import format_sortable_time

log = get_product_log(__name__)

_APPROVED = EnvironmentJobState.APPROVED
#: HTTP statuses for a cursor that is no longer valid.
_EXPIRED = frozenset({400, 410})


def has_cursor_expired(cursor: str, err: PlatformError | NotFound) -> bool:
    """Return whether the platform rejected a page because its cursor has expired."""
    return bool(cursor) and (isinstance(err, NotFound) or err.status in _EXPIRED)


async def read_all_pages[T](read: Callable[[str], Awaitable[ResultPage[T]]]) -> list[T]:
    """Return the items of all pages. Raises `ServiceUnavailable` if the list repeats a page."""
    page = await read("")
    items, cursors = [*page.items], set[str]()
    while page.cursor:
        if page.cursor in cursors:
            raise ServiceUnavailable("the list repeats a page")
        cursors.add(page.cursor)
        page = await read(page.cursor)
        items += page.items
    return items


@dataclass(slots=True)
class DiscoveryPages:
    """The pages that a discovery has read, in rows and in memory."""

    services: Services
    rows: FencedRows[DiscoveryPage]
    #: Called after each stored page.
    advanced: Callable[[], Awaitable[None]] | None = None
    #: Complete pages only.
    parts: list[DiscoveryPage] = field(default_factory=list)
    _positions: dict[DiscoverySource, DiscoveryPosition] = field(default_factory=dict)

    async def load_stored_pages(self, *, keeps_flows: bool = False) -> None:
        """Load the stored pages.

        First removes all pages if the discovery made no progress for long, and otherwise the lists
        that are too old. `keeps_flows`: keep the flows of Dataverse, however old, if all were read,
        because they are compared by version.
        """
        found = await self._read_rows()
        flows = [part for part in found if part.source is DiscoverySource.DATAVERSE]
        if not (keeps_flows and get_position(flows, DiscoverySource.DATAVERSE).is_read):
            flows = []
        others = found if not flows else [one for one in found if one not in flows]
        if is_stale(others, self.services.now):
            # From the end, so that a crash leaves no hole.
            await self.rows.delete(*reversed(others))
            found = flows
        self.parts = [
            part for source in DiscoverySource for part in list_whole_pages(found, source)
        ]
        self._positions = {source: get_position(found, source) for source in DiscoverySource}
        for source in list_outdated_sources(self.parts, self.services.now):
            if not (keeps_flows and source is DiscoverySource.DATAVERSE):
                await self.remove_pages(source)

    async def _read_rows(self) -> list[DiscoveryPage]:
        """Return the stored rows. If one is unreadable, remove all, so that the discovery starts
        again.
        """
        try:
            return await self.rows.read_all()
        except UnreadableRow as err:
            log.warning("discovery restarted: %s", err)
            await self.rows.clear()
            return []

    def get_position(self, source: DiscoverySource) -> DiscoveryPosition:
        """Return where the discovery continues with a source."""
        return self._positions[source]

    def build_empty_row(
        self, source: DiscoverySource, *, read: datetime | None = None
    ) -> DiscoveryPage:
        """Return an empty row for flows of a source. `read` is the time when they were requested
        (None: now).
        """
        return DiscoveryPage(
            environment_job_id=self.rows.partition,
            source=source,
            sequence=0,
            read_at=read or self.services.now,
            ends_page=False,
        )

    async def read_and_store_remaining_pages[T](
        self,
        source: DiscoverySource,
        read: Callable[[str], Awaitable[ResultPage[T]]],
        rows: Callable[[Sequence[T]], list[DiscoveryPage]],
    ) -> None:
        """Read and store the remaining pages of a source. Each is stored before the next one is
        read.
        """
        while not self.get_position(source).is_read:
            await self.read_and_store_page(source, read, rows)

    async def read_and_store_page[T](
        self,
        source: DiscoverySource,
        read: Callable[[str], Awaitable[ResultPage[T]]],
        rows: Callable[[Sequence[T]], list[DiscoveryPage]],
    ) -> None:
        """Read and store the next page of a source.

        If a cursor has expired or is repeated, removes the pages of the source and raises
        `ServiceUnavailable`.
        """
        at, asked = self.get_position(source), self.services.now
        try:
            page = await read(at.cursor)
        except (PlatformError, NotFound) as err:
            if not has_cursor_expired(at.cursor, err):
                raise
            await self.remove_pages(source)
            raise ServiceUnavailable(
                f"the list could not be continued and is read again: {err}"
            ) from err
        if page.cursor and any(
            part.source is source and part.cursor == page.cursor for part in self.parts
        ):
            await self.remove_pages(source)
            raise ServiceUnavailable("the list repeats a page and is read again")
        parts = [replace(part, read_at=asked) for part in rows(page.items)]
        await self.store_page(parts, cursor=page.cursor)

    async def store_page(self, page: Sequence[DiscoveryPage], *, cursor: str = "") -> None:
        """Store a page, which may take several rows; `cursor` is where its source continues."""
        source, first = page[0].source, self.get_position(page[0].source).number
        rows = [replace(part, sequence=first + place) for place, part in enumerate(page)]
        rows[-1] = replace(rows[-1], ends_page=True, cursor=cursor)
        await self.rows.upsert(*rows)
        self.parts += rows
        self._positions[source] = DiscoveryPosition(
            number=first + len(rows), cursor=cursor, is_read=not cursor
        )
        if self.advanced:
            await self.advanced()

    async def remove_pages(self, source: DiscoverySource | None = None) -> None:
        """Remove the pages of a source, or of all sources if `source` is None."""
        await self.rows.clear(where=[Condition("source", "eq", source)] if source else [])
        gone = [source] if source else list(DiscoverySource)
        self.parts = [part for part in self.parts if part.source not in gone]
        self._positions |= dict.fromkeys(gone, DiscoveryPosition())


def split_into_rows[T](items: Iterable[T], size: int = FLOWS_IN_A_ROW) -> list[tuple[T, ...]]:
    """Return the items in groups, one for each row.

    Without items, returns one empty group, because a page was read.
    """
    return list(batched(items, size, strict=False)) or [()]


def build_report_rows(empty: DiscoveryPage, flows: Iterable[FlowListEntry]) -> list[DiscoveryPage]:
    """Return the rows for one page of a flow list."""
    return [replace(empty, reported=some) for some in split_into_rows(flows)]


async def remove_all_pages_but_flows(rows: FencedRows[DiscoveryPage]) -> None:
    """Remove all pages except the flows of Dataverse. They are kept for the comparison with an
    approval.
    """
    for source in set(DiscoverySource) - {DiscoverySource.DATAVERSE}:
        await rows.clear(where=[Condition("source", "eq", source)])


async def delete_stale_discoveries(services: Services) -> None:
    """Delete the pages of old discoveries, such as those of cancelled or blocked jobs.

    The pages of a plan that awaits approval or was approved stay.
    """
    waiting = set()
    async for found in services.tables.environment_jobs.scan():
        if isinstance(found, UnreadableRow):
            waiting.add(found.row[2])  # it may await approval
        elif found.item.awaits_approval or found.item.state is _APPROVED:
            waiting.add(found.item.id)
    table, day = services.tables.discovery_pages, format_sortable_time(services.now - LONGEST)
    old = await table.read_removals(where=[Condition("read_at", "lt", day)])
    younger = Condition("read_at", "ge", day)
    for partition in {one.row.partition for one in old} - waiting:
        if not [row async for row in table.store.query(table.name, partition, where=[younger])]:
            await table.clear(partition)
