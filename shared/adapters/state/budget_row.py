"""The row of a budget, and those of its line, as one of the instances knows them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.adapters.state.call_ledger import UNDERWAY, BudgetLimit, Ledger, used_up
from shared.adapters.state.call_line import Waiter
from shared.errors import AlreadyExists, Conflict, NotFound, Throttled
from shared.ports import Clock, Insert, Operation, Replace, Row, Store

_TABLE = "CallBudgets"
_KEY = "leases"  # comes after every place in the line, which begins with a digit
_TRIES = 10  # races for the row that are lost in a row before a call is refused

#: The ledger as it is to be, the answer, and what is written beside it.
type Decision[T] = tuple[Ledger, T, Sequence[Operation]]


class BudgetRow:
    """The row that all instances share."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Keep it in `store`."""
        self.store = store
        self.clock = clock
        self.limit = limit
        #: As this instance has read or written it last.
        self._known: Row | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """Return its table, partition and key."""
        return _TABLE, self.limit.name, _KEY

    def place(self, key: str) -> Row:
        """Return a row of the line with nothing in it."""
        return Row(table=_TABLE, partition=self.limit.name, key=key, columns={})

    async def read(self) -> tuple[Ledger, list[Waiter]]:
        """Return what the row says, and who stands in the line."""
        row, line = await self._read(with_line=True)
        return self._ledger(row), line

    async def decide[T](
        self,
        decide: Callable[[Ledger, Sequence[Waiter]], Decision[T]],
        *,
        with_line: bool = False,
    ) -> T:
        """Write what is decided on the row, and on the line if it is asked for; return the answer.

        Decided anew as long as another instance was faster, and where no is said by what was known
        before: it may be old.
        """
        for _ in range(_TRIES):
            known, self._known = None if with_line else self._known, None
            row, line = (known, []) if known else await self._read(with_line=with_line)
            before = self._ledger(row)
            try:
                ledger, answer, operations = decide(before, line)
            except Throttled:
                if known:
                    continue
                self._known = row
                raise
            if ledger != before:
                columns = ledger.columns()
                new = replace(row or self.place(_KEY), columns=columns)
                operations = [Replace(new) if row else Insert(new), *operations]
            try:
                written = await self.store.write(*operations) if operations else []
            except (AlreadyExists, Conflict, NotFound):
                continue
            self._known = next((one for one in written if one.key == _KEY), row)
            return answer
        raise used_up(self.limit, UNDERWAY)

    def _ledger(self, row: Row | None) -> Ledger:
        return Ledger.from_row(row, self.limit, self.clock.now())

    async def _read(self, *, with_line: bool) -> tuple[Row | None, list[Waiter]]:
        if not with_line:
            return await self.store.get(*self.name), []
        rows = [row async for row in self.store.query(_TABLE, self.limit.name)]
        row = next((one for one in rows if one.key == _KEY), None)
        return row, [Waiter(one) for one in rows if one.key != _KEY]
