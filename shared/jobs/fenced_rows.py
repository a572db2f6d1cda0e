"""Rows beside a job's own that only the newest delivery of the job may write.

Tables know ETags only. So a partition of a job's rows has one more, the fence, with the number of
the lease that wrote last. Every write replaces it in the same batch; a delivery with a newer lease
has put its own number there before it read anything, and an older one is refused. Where every
older delivery has ended there is none to refuse: the number goes there with the first write.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.errors import Conflict, LeaseLost, NotFound
from shared.ports import Condition, DeleteRow, InsertRow, Operation, ReplaceRow, StoreRow
from shared.rows import FENCE, Table


class FencedRows[T]:
    """The rows of one job, or of one environment, in one table."""

    def __init__(
        self,
        table: Table[T],
        partition: str,
        number: int | None = None,
        *,
        is_alone: bool = False,
    ) -> None:
        """The job's id is the partition, its lease's number the number.

        Without a number: rows of several jobs, of which whoever takes them last is the newest.
        `is_alone`: no older delivery is left that could write.
        """
        self.partition = partition
        self._store = table.store
        self._table = table
        self._number = number
        self._is_alone = is_alone
        #: As this delivery has last written it.
        self._fence: StoreRow | None = None
        #: What puts the number there, where it does not stand yet.
        self._raising: InsertRow | ReplaceRow | None = None

    async def all(self) -> list[T]:
        """Return the rows; who has an older lease writes none after this. Raises `LeaseLost`."""
        if not self._is_alone or self._fence:
            await self._raise_fence()
            return await self._table.all(self.partition)
        rows = [row async for row in self._store.query(self._table.name, self.partition)]
        self._raising = self._raised(next((row for row in rows if row.key == FENCE), None))
        found = self._table.readable(row for row in rows if row.key != FENCE)
        return [kept.item for kept in found]

    async def upsert(self, *items: T) -> None:
        """Write rows; raises `LeaseLost`."""
        for batch in self._table.batches(*items):
            await self._write(*batch)

    async def delete(self, *items: T) -> None:
        """Remove rows, whatever they hold; raises `LeaseLost`."""
        await self._remove(self._table.removal(item) for item in items)

    async def clear(self, *, where: Sequence[Condition] = ()) -> None:
        """Remove what a query finds, as `Table.clear` does; raises `LeaseLost`."""
        await self._raise_fence()
        await self._remove(await self._table.removals(self.partition, where=where))

    async def _remove(self, removals: Iterable[DeleteRow]) -> None:
        for removal in removals:
            with suppress(NotFound):
                await self._write(removal)

    async def _write(self, *operations: Operation) -> None:
        raising, self._raising = self._raising, None
        while True:
            fence = raising or ReplaceRow(await self._raise_fence())
            raising = None
            try:
                self._fence, *_ = await self._store.write(fence, *operations)
            except Conflict:
                self._fence = None  # somebody else's write, or one of ours that was not answered
                continue
            return

    async def _raise_fence(self) -> StoreRow:
        while self._fence is None:
            row = await self._store.get(self._table.name, self.partition, FENCE)
            raising = self._raised(row)
            if row and raising.row.columns == row.columns:
                self._fence = row
                break
            with suppress(Conflict):
                (self._fence,) = await self._store.write(raising)
                self._number = _number(self._fence)
        return self._fence

    def _raised(self, row: StoreRow | None) -> InsertRow | ReplaceRow:
        """Return what puts this delivery's number where `row` stands; raises `LeaseLost`."""
        stands = _number(row) if row else 0
        number = stands + 1 if self._number is None else self._number
        if stands > number:
            raise LeaseLost
        if row:
            return ReplaceRow(replace(row, columns={"number": number}))
        fence = StoreRow(
            table=self._table.name,
            partition=self.partition,
            key=FENCE,
            columns={"number": number},
        )
        return InsertRow(fence)


def _number(row: StoreRow) -> int:
    """Return the number of a fence; one that cannot be read refuses nobody."""
    try:
        return int(row.columns["number"])
    except (KeyError, ValueError, OverflowError):
        return 0
