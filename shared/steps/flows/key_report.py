"""Read the list of flows on Microsoft's key outside of planning.

It may have more pages than an invocation or an HTTP request may read. Each page is stored in the
table of discovery pages until the list was used, so that the next reader continues. See
platform.md#microsoft-key-list.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from shared.domain.flow import FlowListEntry
from shared.domain.plans.discovery import DiscoveryPage, DiscoverySource, select_reported_flows
from shared.errors import LeaseLost, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.flows.discovery_pages import DiscoveryPages, build_report_rows

#: How long one HTTP request may wait between pages in total.
REQUEST_PATIENCE = timedelta(minutes=4)
_DEFAULT_WAIT = timedelta(seconds=10)

type _Read = Callable[[str], Awaitable[ResultPage[FlowListEntry]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """The flows on Microsoft's key, each of them once."""

    flows: tuple[FlowListEntry, ...]
    #: When its first page was requested.
    began: datetime

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of these flows in Dataverse and in the flow service."""
        both = ((flow.flow_name, flow.workflow_id) for flow in self.flows)
        return frozenset(name for names in both for name in names if name)


async def _ignore_progress(_: datetime) -> None: ...


@asynccontextmanager
async def open_key_report(
    services: Services,
    environment_id: str,
    *,
    cannot_migrate_only: bool = False,
    advanced: Callable[[datetime], Awaitable[None]] = _ignore_progress,
    patience: timedelta = timedelta(0),
) -> AsyncGenerator[KeyReport]:
    """Yield the flows on Microsoft's key, or only those that stay there.

    Raises `ThrottledError` if no request is allowed within `patience`, or if another reader has
    taken over; the pages are stored for the next reader. They are removed at the end of the block,
    so results must be stored inside it. `advanced` is called with the start time of the reading,
    after each page that is not the last.
    """
    report = services.flow_reports.read_microsoft_key_flows
    read = partial(report, environment_id, cannot_migrate_only=cannot_migrate_only)
    table, began = services.tables.discovery_pages, services.now
    partition = f"{environment_id}-{'staying' if cannot_migrate_only else 'all'}"
    first = None
    if not [one async for one in table.scan(partition)]:
        first = await read("")
        if not first.cursor:  # most lists have one page, which needs no row
            yield KeyReport(flows=first.items, began=began)
            return
    parts = DiscoveryPages(services, FencedRows(table, partition))
    try:
        await parts.load_stored_pages()
        if first and not parts.parts:
            rows = build_report_rows(
                parts.build_empty_row(DiscoverySource.MICROSOFT_KEY_LIST, read=began), first.items
            )
            await parts.store_page(rows, cursor=first.cursor)
            await advanced(began)
        await _store_remaining_pages(parts, read, advanced, patience)
    except LeaseLost:
        text = "Another reader has taken over this list of flows on Microsoft's key."
        raise ThrottledError(text, retry_after=_DEFAULT_WAIT) from None
    flows = select_reported_flows(parts.parts, DiscoverySource.MICROSOFT_KEY_LIST).values()
    yield KeyReport(flows=tuple(flows), began=_get_started_at(parts.parts))
    with suppress(LeaseLost):
        await parts.remove_pages()


async def _store_remaining_pages(
    parts: DiscoveryPages,
    read: _Read,
    advanced: Callable[[datetime], Awaitable[None]],
    patience: timedelta,
) -> None:
    def build_rows(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        return build_report_rows(parts.build_empty_row(DiscoverySource.MICROSOFT_KEY_LIST), flows)

    while not parts.get_position(DiscoverySource.MICROSOFT_KEY_LIST).is_read:
        try:
            await parts.read_and_store_page(DiscoverySource.MICROSOFT_KEY_LIST, read, build_rows)
        except ThrottledError as err:
            wait = err.retry_after or _DEFAULT_WAIT
            patience -= wait
            if patience < timedelta(0):
                raise
            await parts.services.clock.sleep(wait)
            continue
        if not parts.get_position(DiscoverySource.MICROSOFT_KEY_LIST).is_read:
            await advanced(_get_started_at(parts.parts))


def _get_started_at(parts: list[DiscoveryPage]) -> datetime:
    return min(part.read_at for part in parts)
