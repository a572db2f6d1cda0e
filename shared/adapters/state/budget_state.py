"""Read and write a budget's row and the rows of its queue.

An unreadable row blocks nothing. The budget's row is reset and logged. An unreadable queue entry is
ignored and removed by the timer, and its job is retried by its own row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared.adapters.state.ledger_row import (
    RESET_AT,
    build_empty_ledger,
    build_ledger_columns,
    read_ledger,
    reset_ledger,
)
from shared.adapters.state.request_ledger import (
    RECHECK_DELAY,
    BudgetLimit,
    RequestLedger,
    build_exhausted_error,
)
from shared.adapters.state.request_queue import RequestQueueEntry
from shared.domain.alert import RowName
from shared.errors import AlreadyExists, Conflict, NotFound, ThrottledError
from shared.log_fields import product_log
from shared.ports import Clock, Condition, InsertRow, Operation, ReplaceRow, Store, StoreRow

_TABLE = "requestbudgets"
_KEY = "leases"  # comes after every place in the line, which begins with a digit
_TRIES = 10  # lost races for the row before a request is rejected

#: How long a reset remains visible.
_SHOWN_FOR = timedelta(days=1)

_log = product_log(__name__)

#: The new ledger, the result, and further rows to write.
type Decision[T] = tuple[RequestLedger, T, Sequence[Operation]]


class BudgetState:
    """The budget row that all instances share."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Store the row in `store`."""
        self.store = store
        self.clock = clock
        self.limit = limit
        #: The row as last read or written by this instance.
        self._known: StoreRow | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """Return the row's table, partition and key."""
        return _TABLE, self.limit.name, _KEY

    def place(self, key: str) -> StoreRow:
        """Return an empty row of the queue."""
        return StoreRow(table=_TABLE, partition=self.limit.name, key=key, columns={})

    async def read(self) -> tuple[RequestLedger, list[RequestQueueEntry], list[StoreRow]]:
        """Return the ledger, the queue entries, and the unreadable queue rows."""
        while True:
            row, places = await self._read_rows()
            ledger = await self._read_ledger(row)
            if ledger:
                waiters = list(_parse_readable_entries(places))
                known = {one.key for one in waiters}
                return ledger, waiters, [one for one in places if one.key not in known]

    async def resets(self) -> list[RowName]:
        """Return the rows of all budgets that were reset within a day."""
        since = (self.clock.now() - _SHOWN_FOR).isoformat()
        found = self.store.query(_TABLE, where=[Condition(RESET_AT, "gt", since)])
        return [(row.table, row.partition, row.key) async for row in found]

    async def decide[T](
        self,
        decide: Callable[[RequestLedger, Sequence[RequestQueueEntry]], Decision[T]],
        *,
        with_line: bool = False,
    ) -> T:
        """Write the decided change to the row, and to the queue if `with_line`; return the result.

        Repeats the decision if another instance wrote first, or if it was negative and the row may
        be outdated.
        """
        for _ in range(_TRIES):
            known, self._known = None if with_line else self._known, None
            row, line = known, list[RequestQueueEntry]()
            if with_line:
                row, places = await self._read_rows()
                line = list(_parse_readable_entries(places))
            elif row is None:
                row = await self.store.get(*self.name)
            before = await self._read_ledger(row)
            if before is None:
                continue
            try:
                ledger, answer, operations = decide(before, line)
            except ThrottledError:
                if known:
                    continue
                self._known = row
                raise
            if ledger != before:
                new = replace(row or self.place(_KEY), columns=build_ledger_columns(ledger))
                operations = [ReplaceRow(new) if row else InsertRow(new), *operations]
            try:
                written = await self.store.write(*operations) if operations else []
            except (AlreadyExists, Conflict, NotFound):
                continue
            self._known = next((one for one in written if one.key == _KEY), row)
            return answer
        raise build_exhausted_error(self.limit, RECHECK_DELAY)

    async def _read_ledger(self, row: StoreRow | None) -> RequestLedger | None:
        """Return the ledger of a row. If the row is unreadable, reset it and return None.

        Resets at once, so that the pause starts at the same time for all instances.
        """
        now = self.clock.now()
        if row is None:
            return build_empty_ledger(self.limit, now)
        try:
            return read_ledger(row, self.limit, now)
        except ValueError:
            _log.warning(
                "The row of request budget %s is unreadable and was reset", self.limit.name
            )
            new = replace(row, columns=build_ledger_columns(reset_ledger(self.limit, now)))
            with suppress(Conflict):
                await self.store.write(ReplaceRow(new))
            return None

    async def _read_rows(self) -> tuple[StoreRow | None, list[StoreRow]]:
        """Return the budget's row and the rows of its queue."""
        rows = [row async for row in self.store.query(_TABLE, self.limit.name)]
        row = next((one for one in rows if one.key == _KEY), None)
        return row, [one for one in rows if one.key != _KEY]


def _parse_readable_entries(places: Sequence[StoreRow]) -> Iterator[RequestQueueEntry]:
    for row in places:
        with suppress(ValueError):
            yield RequestQueueEntry.read(row)
