"""Read and write the rows of a request budget and of its queue.

An unreadable budget row is reset. An unreadable queue entry is ignored until the timer removes it;
its job is retried by its own row.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta

from shared.adapters.state.ledger_row import (
    build_empty_ledger,
    build_ledger_columns,
    build_reset_ledger,
    parse_ledger,
)
from shared.adapters.state.request_ledger import (
    RECHECK_DELAY,
    BudgetLimit,
    RequestLedger,
    build_exhausted_error,
)
from shared.adapters.state.request_queue import (
    QueueView,
    RequestQueueEntry,
    build_waiter_removal,
    count_waiters,
    has_read_enough_entries,
)
from shared.domain.alert import RowName
from shared.errors import AlreadyExists, Conflict, NotFound, ThrottledError
from shared.logs.fields import get_product_log
from shared.ports import (
    Clock,
    Condition,
    DeleteRow,
    InsertRow,
    Operation,
    ReplaceRow,
    Store,
    StoreRow,
    UpsertRow,
)

_TABLE = "requestbudgets"
_KEY = "leases"  # comes after every place in the line, which begins with a digit
_TRIES = 10  # lost races for the row before a request is rejected

#: The partition with the time at which each budget's row was last reset, and its column.
_RESETS, _RESET_AT = "resets", "reset_at"
#: How long a reset remains visible.
_SHOWN_FOR = timedelta(days=1)
#: Rows of the queue to read at a time: more than are read of it as a rule.
_PAGE = 100

_log = get_product_log(__name__)

#: The new ledger, the result, and further rows to write.
type Decision[T] = tuple[RequestLedger, T, Sequence[Operation]]


class BudgetState:
    """The row of a request budget, which all instances share, and the rows of its queue."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        self.store = store
        self.clock = clock
        self.limit = limit
        #: The row as last read or written by this instance.
        self._known: StoreRow | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """Return the table, partition and key of the budget's row."""
        return _TABLE, self.limit.name, _KEY

    def build_empty_row(self, key: str) -> StoreRow:
        """Return a row without columns for an entry of the queue."""
        return StoreRow(table=_TABLE, partition=self.limit.name, key=key, columns={})

    async def read(self) -> RequestLedger:
        """Return the budget's ledger, with the totals of the queue."""
        while True:
            ledger = await self._parse_or_reset_ledger(await self.store.get(*self.name))
            if ledger:
                return await self._with_queue_totals(ledger)

    async def read_entries(self) -> AsyncGenerator[RequestQueueEntry | StoreRow]:
        """Yield the entries of the queue in order. For an unreadable entry, yields its row."""
        async for row in self.store.query(_TABLE, self.limit.name, page_size=_PAGE):
            if row.key == _KEY:
                continue
            try:
                yield RequestQueueEntry.parse(row)
            except ValueError:
                yield row

    async def remove_entries(
        self, gone: Sequence[RequestQueueEntry], unreadable: Sequence[StoreRow]
    ) -> None:
        """Remove entries from the queue, or none of them if one has changed."""

        def remove_waiting_jobs(ledger: RequestLedger, _: QueueView) -> Decision[None]:
            ledger, removals = build_waiter_removal(ledger, gone)
            if unreadable:  # what they counted is not known
                ledger = replace(ledger, queue=None)
            return ledger, None, [*removals, *(DeleteRow(row) for row in unreadable)]

        with suppress(ThrottledError):
            await self.write_queue_decision(remove_waiting_jobs, "")

    async def read_reset_rows(self) -> list[RowName]:
        """Return the names of the budget rows that were reset within the last day."""
        since = (self.clock.now() - _SHOWN_FOR).isoformat()
        found = self.store.query(_TABLE, _RESETS, where=[Condition(_RESET_AT, "gt", since)])
        return [(row.table, row.key, _KEY) async for row in found]

    async def write_decision[T](self, decide: Callable[[RequestLedger], Decision[T]]) -> T:
        """Write the ledger that `decide` returns, and return the result of `decide`.

        Calls `decide` again if another instance wrote first, or if the row may be outdated and
        `decide` raised `ThrottledError`.
        """
        for _ in range(_TRIES):
            known = self._known
            row, before = await self._read_known_row()
            if before is None:
                continue
            try:
                ledger, answer, operations = decide(before)
            except ThrottledError:
                if known:
                    continue
                self._known = row
                raise
            changes = [self._build_row_write(row, ledger)] if ledger != before else []
            if await self._write_operations(row, [*changes, *operations]):
                return answer
        raise build_exhausted_error(self.limit, RECHECK_DELAY)

    async def write_queue_decision[T](
        self, decide: Callable[[RequestLedger, QueueView], Decision[T]], position: str
    ) -> T:
        """Write the ledger and queue changes of `decide`, and return the result of `decide`.

        `decide` gets the part of the queue up to `position`. The row is always written, which
        verifies that it was not outdated.
        """
        for _ in range(_TRIES):
            row, before = await self._read_known_row()
            if before is None:
                continue
            before = await self._with_queue_totals(before)
            ledger, answer, operations = decide(
                before, await self._read_queue_view(before, position)
            )
            if await self._write_operations(row, [self._build_row_write(row, ledger), *operations]):
                return answer
        raise build_exhausted_error(self.limit, RECHECK_DELAY)

    async def _read_known_row(self) -> tuple[StoreRow | None, RequestLedger | None]:
        """Return the row that this instance last read or wrote, or else the stored one."""
        row, self._known = self._known, None
        row = row or await self.store.get(*self.name)
        return row, await self._parse_or_reset_ledger(row)

    def _build_row_write(self, row: StoreRow | None, ledger: RequestLedger) -> Operation:
        new = replace(row or self.build_empty_row(_KEY), columns=build_ledger_columns(ledger))
        return ReplaceRow(new) if row else InsertRow(new)

    async def _write_operations(
        self, row: StoreRow | None, operations: Sequence[Operation]
    ) -> bool:
        """Return False, instead of writing, if another instance wrote first."""
        try:
            written = await self.store.write(*operations) if operations else []
        except (AlreadyExists, Conflict, NotFound):
            return False
        self._known = next((one for one in written if one.key == _KEY), row)
        return True

    async def _with_queue_totals(self, ledger: RequestLedger) -> RequestLedger:
        if ledger.queue is not None:
            return ledger
        entries = [one async for one in self.read_entries() if isinstance(one, RequestQueueEntry)]
        return replace(ledger, queue=count_waiters(entries))

    async def _read_queue_view(self, ledger: RequestLedger, position: str) -> QueueView:
        place, first, ahead = self.build_empty_row(position), list[RequestQueueEntry](), 0
        if not position:
            return QueueView(place=place)
        async with aclosing(self.read_entries()) as line:
            async for one in line:
                if isinstance(one, StoreRow):
                    continue
                if one.key >= position:
                    own = one if one.key == position else None
                    return QueueView(place=place, first=first, own=own)
                first.append(one)
                ahead += 0 if one.is_abandoned(ledger) else one.request_count
                if has_read_enough_entries(ledger, first, ahead):
                    own = await self._read_entry(position)
                    return QueueView(place=place, first=first, has_all=False, own=own)
        return QueueView(place=place, first=first)

    async def _read_entry(self, position: str) -> RequestQueueEntry | None:
        row = await self.store.get(_TABLE, self.limit.name, position)
        with suppress(ValueError):
            return RequestQueueEntry.parse(row) if row else None
        return None

    async def _parse_or_reset_ledger(self, row: StoreRow | None) -> RequestLedger | None:
        """Return the ledger of a row, or reset the row and return None if it is unreadable.

        Resets at once, so that the pause starts at the same time for all instances.
        """
        now = self.clock.now()
        if row is None:
            return build_empty_ledger(self.limit, now)
        try:
            return parse_ledger(row, self.limit, now)
        except ValueError:
            _log.warning(
                "The row of request budget %s is unreadable and was reset", self.limit.name
            )
            reset = StoreRow(
                table=_TABLE,
                partition=_RESETS,
                key=self.limit.name,
                columns={_RESET_AT: now.isoformat()},
            )
            await self.store.write(UpsertRow(reset))
            new = replace(row, columns=build_ledger_columns(build_reset_ledger(self.limit, now)))
            with suppress(Conflict):
                await self.store.write(ReplaceRow(new))
            return None
