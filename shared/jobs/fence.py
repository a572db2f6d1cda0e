"""Rows beside a job's own that only the newest delivery of the job may write.

Tables know ETags only. So a partition of a job's rows has one more, the fence, with the number of
the lease that wrote last. Every write replaces it in the same batch; a delivery with a newer lease
has put its own number there before it read anything, and an older one is refused.
"""

from contextlib import suppress

from shared.errors import Conflict, LeaseLost, NotFound
from shared.ports import Insert, Operation, Replace, Row, Store
from shared.rows import FENCE, Table


class FencedRows[T]:
    """The rows of one job in one table."""

    def __init__(self, store: Store, table: Table[T], job_id: str, lease_number: int) -> None:
        """The job's id is the partition."""
        self._store = store
        self._table = table
        self._job_id = job_id
        self._number = lease_number
        self._etag: str | None = None

    async def all(self) -> list[T]:
        """Return the rows; who has an older lease writes none after this. Raises `LeaseLost`."""
        await self._raise_fence()
        return await self._table.all(self._job_id)

    async def upsert(self, *items: T) -> None:
        """Write rows; raises `LeaseLost`."""
        for batch in self._table.batches(*items):
            await self._write(*batch)

    async def delete(self, *items: T) -> None:
        """Remove rows, whatever they hold; raises `LeaseLost`."""
        for item in items:
            with suppress(NotFound):
                await self._write(self._table.removal(item))

    async def _write(self, *operations: Operation) -> None:
        while True:
            await self._raise_fence()
            try:
                fence, *_ = await self._store.write(Replace(self._fence()), *operations)
            except Conflict:
                self._etag = None  # somebody else's write, or one of ours that was not answered
                continue
            self._etag = fence.etag
            return

    async def _raise_fence(self) -> None:
        while self._etag is None:
            row = await self._store.get(self._table.name, self._job_id, FENCE)
            number = int(row.columns["number"]) if row else 0
            if number > self._number:
                raise LeaseLost
            self._etag = row.etag if row else None
            if row and number == self._number:
                return
            try:
                (written,) = await self._store.write(
                    Replace(self._fence()) if row else Insert(self._fence())
                )
            except Conflict:
                self._etag = None
                continue
            self._etag = written.etag

    def _fence(self) -> Row:
        return Row(
            table=self._table.name,
            partition=self._job_id,
            key=FENCE,
            columns={"number": self._number},
            etag=self._etag,
        )
