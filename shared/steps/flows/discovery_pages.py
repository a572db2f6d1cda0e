"""Keep what a discovery has read, page by page, so that it goes on where a process died."""

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
    is_stale,
    outdated_sources,
    position_of,
    whole_pages,
)
from shared.errors import NotFound, PlatformError, ServiceUnavailable, UnreadableRow
from shared.jobs.fenced_rows import FencedRows
from shared.log_fields import product_log
from shared.ports import Condition, ResultPage
from shared.rows import sortable_time
from shared.services import Services

log = product_log(__name__)

_APPROVED = EnvironmentJobState.APPROVED
#: Answers to a cursor that is not taken any more.
_EXPIRED = frozenset({400, 410})


def has_expired(cursor: str, err: PlatformError | NotFound) -> bool:
    """Return whether the platform refused a page because its cursor has expired."""
    return bool(cursor) and (isinstance(err, NotFound) or err.status in _EXPIRED)


@dataclass(slots=True)
class DiscoveryPages:
    """What one environment job's discovery has read: in rows, and here as well."""

    services: Services
    rows: FencedRows[DiscoveryPage]
    #: Called when a page is kept: the work has got further.
    advanced: Callable[[], Awaitable[None]] | None = None
    #: Whole pages only.
    parts: list[DiscoveryPage] = field(default_factory=list)
    _positions: dict[DiscoverySource, DiscoveryPosition] = field(default_factory=dict)

    async def open(self, *, keeps_flows: bool = False) -> None:
        """Find how far it got. One that stood still is removed, and so is a list that is too old.

        `keeps_flows`: but not all flows of Dataverse, however old: they are compared by version.
        """
        found = await self._found()
        flows = [part for part in found if part.source is DiscoverySource.DATAVERSE]
        if not (keeps_flows and position_of(flows, DiscoverySource.DATAVERSE).is_read):
            flows = []
        others = found if not flows else [one for one in found if one not in flows]
        if is_stale(others, self.services.now):
            await self.rows.delete(*reversed(others))  # whoever dies here leaves no hole
            found = flows
        self.parts = [part for source in DiscoverySource for part in whole_pages(found, source)]
        self._positions = {source: position_of(found, source) for source in DiscoverySource}
        for source in outdated_sources(self.parts, self.services.now):
            if not (keeps_flows and source is DiscoverySource.DATAVERSE):
                await self.restart(source)

    async def _found(self) -> list[DiscoveryPage]:
        """Return the rows; with one that cannot be read the list has a hole, and begins anew."""
        try:
            return await self.rows.all()
        except UnreadableRow as err:
            log.warning("the discovery begins anew: %s", err)
            await self.rows.clear()
            return []

    def at(self, source: DiscoverySource) -> DiscoveryPosition:
        """Return where to go on with a source."""
        return self._positions[source]

    def part(self, source: DiscoverySource, *, read: datetime | None = None) -> DiscoveryPage:
        """Return an empty row, to be filled; its flows are of now, or were asked for at `read`."""
        return DiscoveryPage(
            environment_job_id=self.rows.partition,
            source=source,
            sequence=0,
            read_at=read or self.services.now,
            ends_page=False,
        )

    async def read[T](
        self,
        source: DiscoverySource,
        read: Callable[[str], Awaitable[ResultPage[T]]],
        rows: Callable[[Sequence[T]], list[DiscoveryPage]],
    ) -> None:
        """Read a source to its end; what this raises loses no page but the one that was due."""
        while not self.at(source).is_read:
            await self.read_page(source, read, rows)

    async def read_page[T](
        self,
        source: DiscoverySource,
        read: Callable[[str], Awaitable[ResultPage[T]]],
        rows: Callable[[Sequence[T]], list[DiscoveryPage]],
    ) -> None:
        """Read the next page of a source. Where its cursor is refused, the source begins anew."""
        at, asked = self.at(source), self.services.now
        try:
            page = await read(at.cursor)
        except (PlatformError, NotFound) as err:
            if not has_expired(at.cursor, err):
                raise
            await self.restart(source)
            raise ServiceUnavailable(
                f"the list could not be read on, and begins anew: {err}"
            ) from err
        parts = [replace(part, read_at=asked) for part in rows(page.items)]
        await self.keep(parts, cursor=page.cursor)

    async def keep(self, page: Sequence[DiscoveryPage], *, cursor: str = "") -> None:
        """Store a page, which may take several rows; `cursor` says where its source goes on."""
        source, first = page[0].source, self.at(page[0].source).number
        rows = [replace(part, sequence=first + place) for place, part in enumerate(page)]
        rows[-1] = replace(rows[-1], ends_page=True, cursor=cursor)
        await self.rows.upsert(*rows)
        self.parts += rows
        self._positions[source] = DiscoveryPosition(
            number=first + len(rows), cursor=cursor, is_read=not cursor
        )
        if self.advanced:
            await self.advanced()

    async def restart(self, source: DiscoverySource | None = None) -> None:
        """Forget what was read of a source; None: of all of them."""
        await self.rows.clear(where=[Condition("source", "eq", source)] if source else [])
        gone = [source] if source else list(DiscoverySource)
        self.parts = [part for part in self.parts if part.source not in gone]
        self._positions |= dict.fromkeys(gone, DiscoveryPosition())


def in_rows[T](items: Iterable[T]) -> list[tuple[T, ...]]:
    """Return rows' worth of items; of none, one that is empty: a page was read all the same."""
    return list(batched(items, FLOWS_IN_A_ROW, strict=False)) or [()]


def rows_of_report(empty: DiscoveryPage, flows: Iterable[FlowListEntry]) -> list[DiscoveryPage]:
    """Return the rows of a page of a report."""
    return [replace(empty, reported=some) for some in in_rows(flows)]


async def keep_flows_only(rows: FencedRows[DiscoveryPage]) -> None:
    """Forget all but what Dataverse told: that is what an approval is compared with."""
    for source in set(DiscoverySource) - {DiscoverySource.DATAVERSE}:
        await rows.clear(where=[Condition("source", "eq", source)])


async def forget_stale_discoveries(services: Services) -> None:
    """Remove rows that no discovery would go on with: their job was cancelled, or is stuck.

    What a plan waits with for its approval stays.
    """
    waiting = set()
    async for found in services.tables.environment_jobs.scan():
        if isinstance(found, UnreadableRow):
            waiting.add(found.row[2])  # perhaps it waits for its approval
        elif found.item.awaits_approval or found.item.state is _APPROVED:
            waiting.add(found.item.id)
    table, day = services.tables.discovery_pages, sortable_time(services.now - LONGEST)
    old = await table.removals(where=[Condition("read_at", "lt", day)])
    younger = Condition("read_at", "ge", day)
    for partition in {one.row.partition for one in old} - waiting:
        if not [row async for row in table.store.query(table.name, partition, where=[younger])]:
            await table.clear(partition)
