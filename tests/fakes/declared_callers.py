"""Fake of the port `DeclaredCallers`."""

from collections.abc import AsyncIterator

from shared.domain.callers.declared_caller import DeclaredCaller
from shared.errors import UnreadableRow
from shared.state.rows import StoredItem, Table
from tests.fakes.world import World


class FakeDeclaredCallers:
    """Returns the declared callers of a `World`, and those that the app has stored."""

    def __init__(self, world: World, rows: Table[DeclaredCaller]) -> None:
        self._world = world
        self._rows = rows

    async def scan(
        self, partition: str | None = None, /
    ) -> AsyncIterator[StoredItem[DeclaredCaller] | UnreadableRow]:
        for one in self._world.declared_callers:
            yield StoredItem(one, "")
        async for row in self._rows.scan(partition):
            yield row

    async def get(self, partition: str, key: str, /) -> StoredItem[DeclaredCaller] | None:
        for one in self._world.declared_callers:
            if one.id == key:
                return StoredItem(one, "")
        return await self._rows.get(partition, key)
