"""Pass each request of a store on to another store."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from shared.ports import Condition, Operation, Store, StoreRow


@dataclass(slots=True)
class ObservedStore(Store):
    """A store in front of another one.

    A subclass defines `observe`, for example to count the requests.
    """

    store: Store

    def observe(self, request: str, table: str, partition: str | None) -> None:
        """Observe a request before it is passed on. `request` is the name of the method."""

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        self.observe("get", table, partition)
        return await self.store.get(table, partition, key)

    async def write(self, *operations: Operation) -> list[StoreRow]:
        self.observe("write", operations[0].row.table, operations[0].row.partition)
        return await self.store.write(*operations)

    async def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
        after: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[StoreRow]:
        """Observe the query as one request, whatever the number of rows, and pass it on."""
        self.observe("query", table, partition)
        async for row in self.store.query(
            table, partition, where=where, before=before, after=after, page_size=page_size
        ):
            yield row
