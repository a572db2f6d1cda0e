"""The row of a budget, and those of its line, as one of the instances knows them.

None of them stops anything when it cannot be read. The budget's row is reset and says so; a place
in the line does not count, and the timer removes it: its job comes again by its own row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared.adapters.state.ledger_row import (
    RESET_AT,
    ledger_columns,
    new_ledger,
    read_ledger,
    reset_ledger,
)
from shared.adapters.state.request_ledger import AGAIN, BudgetLimit, RequestLedger, used_up
from shared.adapters.state.request_queue import RequestQueueEntry
from shared.domain.alert import RowName
from shared.errors import AlreadyExists, Conflict, NotFound, ThrottledError
from shared.log_fields import product_log
from shared.ports import Clock, Condition, InsertRow, Operation, ReplaceRow, Store, StoreRow

_TABLE = "requestbudgets"
_KEY = "leases"  # comes after every place in the line, which begins with a digit
_TRIES = 10  # races for the row that are lost in a row before a call is refused

#: For so long people see that a row was reset.
_SHOWN_FOR = timedelta(days=1)

_log = product_log(__name__)

#: The ledger as it is to be, the answer, and what is written beside it.
type Decision[T] = tuple[RequestLedger, T, Sequence[Operation]]


class BudgetState:
    """The row that all instances share."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Keep it in `store`."""
        self.store = store
        self.clock = clock
        self.limit = limit
        #: As this instance has read or written it last.
        self._known: StoreRow | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """Return its table, partition and key."""
        return _TABLE, self.limit.name, _KEY

    def place(self, key: str) -> StoreRow:
        """Return a row of the line with nothing in it."""
        return StoreRow(table=_TABLE, partition=self.limit.name, key=key, columns={})

    async def read(self) -> tuple[RequestLedger, list[RequestQueueEntry], list[StoreRow]]:
        """Return what the row says, who stands in the line, and the places that are unreadable."""
        while True:
            row, places = await self._rows()
            ledger = await self._ledger(row)
            if ledger:
                waiters = list(_readable(places))
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
        """Write what is decided on the row, and on the line if it is asked for; return the answer.

        Decided anew as long as another instance was faster, and where no is said by what was known
        before: it may be old.
        """
        for _ in range(_TRIES):
            known, self._known = None if with_line else self._known, None
            row, line = known, list[RequestQueueEntry]()
            if with_line:
                row, places = await self._rows()
                line = list(_readable(places))
            elif row is None:
                row = await self.store.get(*self.name)
            before = await self._ledger(row)
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
                new = replace(row or self.place(_KEY), columns=ledger_columns(ledger))
                operations = [ReplaceRow(new) if row else InsertRow(new), *operations]
            try:
                written = await self.store.write(*operations) if operations else []
            except (AlreadyExists, Conflict, NotFound):
                continue
            self._known = next((one for one in written if one.key == _KEY), row)
            return answer
        raise used_up(self.limit, AGAIN)

    async def _ledger(self, row: StoreRow | None) -> RequestLedger | None:
        """Return what a row says; None: it could not be read, was reset, and is to be read again.

        Written at once, so that the pause has one beginning for all instances.
        """
        now = self.clock.now()
        if row is None:
            return new_ledger(self.limit, now)
        try:
            return read_ledger(row, self.limit, now)
        except ValueError:
            _log.warning("the row of the budget %s cannot be read: it is reset", self.limit.name)
            new = replace(row, columns=ledger_columns(reset_ledger(self.limit, now)))
            with suppress(Conflict):
                await self.store.write(ReplaceRow(new))
            return None

    async def _rows(self) -> tuple[StoreRow | None, list[StoreRow]]:
        """Return the budget's row, and the places in its line."""
        rows = [row async for row in self.store.query(_TABLE, self.limit.name)]
        row = next((one for one in rows if one.key == _KEY), None)
        return row, [one for one in rows if one.key != _KEY]


def _readable(places: Sequence[StoreRow]) -> Iterator[RequestQueueEntry]:
    for row in places:
        with suppress(ValueError):
            yield RequestQueueEntry.read(row)
