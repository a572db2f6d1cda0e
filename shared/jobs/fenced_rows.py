"""Let only the newest invocation of a job write the job's rows in other tables.

Table storage protects only single rows, with ETags. So the partition of a job's rows has one more
row, the fence, with the fencing token of the last writer. Every write also writes the fence, in the
same batch. An invocation with a newer lease writes its token there before it reads anything, so
that an older one is rejected. If all older invocations have completed, the token is written with
the first write.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.errors import Conflict, LeaseLost, NotFound
from shared.ports import Condition, DeleteRow, InsertRow, Operation, ReplaceRow, StoreRow
from shared.state.rows import FENCE, Table


class FencedRows[T]:
    """The rows of one job, or of one environment, in one table.

    Only the newest lease can write them.
    """

    def __init__(
        self,
        table: Table[T],
        partition: str,
        number: int | None = None,
        *,
        is_alone: bool = False,
    ) -> None:
        """`partition` is the job's id, `number` the fencing token of its lease.

        Without a number, the rows belong to several jobs, and the last one to take them over is the
        newest. `is_alone`: no older invocation can still write.
        """
        self.partition = partition
        self._store = table.store
        self._table = table
        self._number = number
        self._is_alone = is_alone
        #: As last written by this invocation.
        self._fence: StoreRow | None = None
        #: The operation that writes the token, if it is not written yet.
        self._pending_fence: InsertRow | ReplaceRow | None = None

    async def read_all(self) -> list[T]:
        """Return the rows.

        From then on, no invocation with an older lease can write them. Raises `LeaseLost` if a
        newer lease has taken them over.
        """
        if not self._is_alone or self._fence:
            await self._write_fence()
            return await self._table.read_all(self.partition)
        rows = [row async for row in self._store.query(self._table.name, self.partition)]
        self._pending_fence = self._build_fence_operation(
            next((row for row in rows if row.key == FENCE), None)
        )
        found = self._table.parse_readable(row for row in rows if row.key != FENCE)
        return [kept.item for kept in found]

    async def upsert(self, *items: T) -> None:
        """Write rows. Raises `LeaseLost` if a newer lease has taken them over."""
        for batch in self._table.split_into_batches(*items):
            await self._write_with_fence(*batch)

    async def delete(self, *items: T) -> None:
        """Remove rows, whatever their content.

        Raises `LeaseLost` if a newer lease has taken them over.
        """
        await self._delete_rows(self._table.build_removal(item) for item in items)

    async def clear(self, *, where: Sequence[Condition] = ()) -> None:
        """Remove the rows that a query finds, as `Table.clear` does.

        Raises `LeaseLost` if a newer lease has taken them over.
        """
        await self._write_fence()
        await self._delete_rows(await self._table.read_removals(self.partition, where=where))

    async def _delete_rows(self, removals: Iterable[DeleteRow]) -> None:
        for removal in removals:
            with suppress(NotFound):
                await self._write_with_fence(removal)

    async def _write_with_fence(self, *operations: Operation) -> None:
        operation, self._pending_fence = self._pending_fence, None
        while True:
            fence = operation or ReplaceRow(await self._write_fence())
            operation = None
            try:
                self._fence, *_ = await self._store.write(fence, *operations)
            except Conflict:
                self._fence = None  # another writer's, or an own write without an answer
                continue
            return

    async def _write_fence(self) -> StoreRow:
        while self._fence is None:
            row = await self._store.get(self._table.name, self.partition, FENCE)
            operation = self._build_fence_operation(row)
            if row and operation.row.columns == row.columns:
                self._fence = row
                break
            with suppress(Conflict):
                (self._fence,) = await self._store.write(operation)
                self._number = _parse_fencing_token(self._fence)
        return self._fence

    def _build_fence_operation(self, row: StoreRow | None) -> InsertRow | ReplaceRow:
        """Return the operation that writes this invocation's token. Raises `LeaseLost` if `row` has
        a newer one.
        """
        current = _parse_fencing_token(row) if row else 0
        number = current + 1 if self._number is None else self._number
        if current > number:
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


def _parse_fencing_token(row: StoreRow) -> int:
    """Return the fencing token in a fence. An unreadable token is zero, so that it rejects no
    writer.
    """
    try:
        return int(row.columns["number"])
    except (KeyError, ValueError, OverflowError):
        return 0
