"""The report of flows on Microsoft's key, for whoever does not plan.

It may have more pages than a delivery or a request has calls. Each page is kept in the table
`discoveries` until the report has served: whoever asks next goes on where the one before stopped.

See platform.md#microsoft-key-list.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from shared.domain.flow import FlowListEntry
from shared.domain.plans.discovery import DiscoveryPage, DiscoverySource, reported_in
from shared.errors import LeaseLost, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.flows.discovery_pages import DiscoveryPages, rows_of_report

#: How long a request may wait for calls between pages, all together.
REQUEST_PATIENCE = timedelta(minutes=4)
_UNTOLD_WAIT = timedelta(seconds=10)

type _Read = Callable[[str], Awaitable[ResultPage[FlowListEntry]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """Flows on Microsoft's key, each once."""

    flows: tuple[FlowListEntry, ...]
    #: When its first page was asked for.
    began: datetime

    @property
    def names(self) -> frozenset[str]:
        """Return what both services call these flows."""
        both = ((flow.flow_name, flow.workflow_id) for flow in self.flows)
        return frozenset(name for names in both for name in names if name)


async def _nobody(_: datetime) -> None:
    """Tell nobody that a page was read."""


@asynccontextmanager
async def key_report(
    services: Services,
    environment_id: str,
    *,
    cannot_migrate_only: bool = False,
    advanced: Callable[[datetime], Awaitable[None]] = _nobody,
    patience: timedelta = timedelta(0),
) -> AsyncGenerator[KeyReport]:
    """Give the flows on Microsoft's key, or just those that stay there.

    Raises `ThrottledError` when no call is left within `patience`, or when another reader has taken
    over; the pages are kept for whoever asks next. They are removed at the end of the block: what
    is made of the report is stored inside of it. `advanced` is told when the reading began, for
    each page after which others come.
    """
    report = services.flow_reports.microsoft_key_flows
    read = partial(report, environment_id, cannot_migrate_only=cannot_migrate_only)
    table, began = services.tables.discovery_pages, services.now
    partition = f"{environment_id}-{'staying' if cannot_migrate_only else 'all'}"
    first = None
    if not [one async for one in table.scan(partition)]:
        first = await read("")
        if not first.cursor:  # most reports have one page, which needs no row
            yield KeyReport(flows=first.items, began=began)
            return
    parts = DiscoveryPages(services, FencedRows(table, partition))
    try:
        await parts.open()
        if first and not parts.parts:
            rows = rows_of_report(
                parts.part(DiscoverySource.MICROSOFT_KEY_LIST, read=began), first.items
            )
            await parts.keep(rows, cursor=first.cursor)
            await advanced(began)
        await _read_on(parts, read, advanced, patience)
    except LeaseLost:
        text = "Another reader has taken over this list of flows on Microsoft's key."
        raise ThrottledError(text, retry_after=_UNTOLD_WAIT) from None
    flows = reported_in(parts.parts, DiscoverySource.MICROSOFT_KEY_LIST).values()
    yield KeyReport(flows=tuple(flows), began=_began(parts.parts))
    with suppress(LeaseLost):
        await parts.restart()


async def _read_on(
    parts: DiscoveryPages,
    read: _Read,
    advanced: Callable[[datetime], Awaitable[None]],
    patience: timedelta,
) -> None:
    """Read the pages that are left."""

    def rows(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        return rows_of_report(parts.part(DiscoverySource.MICROSOFT_KEY_LIST), flows)

    while not parts.at(DiscoverySource.MICROSOFT_KEY_LIST).is_read:
        try:
            await parts.read_page(DiscoverySource.MICROSOFT_KEY_LIST, read, rows)
        except ThrottledError as err:
            wait = err.retry_after or _UNTOLD_WAIT
            patience -= wait
            if patience < timedelta(0):
                raise
            await parts.services.clock.sleep(wait)
            continue
        if not parts.at(DiscoverySource.MICROSOFT_KEY_LIST).is_read:
            await advanced(_began(parts.parts))


def _began(parts: list[DiscoveryPage]) -> datetime:
    return min(part.read_at for part in parts)
