"""Mark every row with the version of its schema, and reject a store of an earlier version."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from shared.errors import AlreadyExists, JobBlocked
from shared.ports import Condition, InsertRow, Operation, Scalar, Store, StoreRow
from shared.reason import Reason

SCHEMA_VERSION = 1
COLUMN = "schema_version"
#: Tables of the versions that came before version 1, which are no tables of it.
EARLIER_TABLES = (
    "jobs",
    "plans",
    "intents",
    "places",
    "searches",
    "wholesearches",
    "environments",
    "links",
    "leases",
    "moves",
    "flags",
    "audit",
    "discoveries",
    "notices",
    "reminders",
    "circuits",
    "editions",
    "readings",
    "operators",
    "keyfindings",
    "deliveries",
    "refusedcalls",
    "repairs",
    "callbudgets",
)
SCHEMA = "schema"
#: The row that says that the store is of this version; it is written before any other.
VERSION = (SCHEMA, "schema", "version")
#: The row of an import, which writes the row of the version last.
IMPORT = (SCHEMA, "schema", "import")
_MARK = StoreRow(table=VERSION[0], partition=VERSION[1], key=VERSION[2], columns={})


class VersionedStore(Store):
    """A store that checks the version of its schema on first use.

    Raises `JobBlocked` for another version.
    """

    def __init__(self, store: Store, tables: Sequence[str], remedy: str) -> None:
        """`tables` are those of this version. `remedy` says how to get an empty store."""
        self.store = store
        self._tables = tables
        self._remedy = remedy
        self._is_checked = False
        self._checking = asyncio.Lock()

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        await self._require_version_once()
        row = await self.store.get(table, partition, key)
        return _without_version(row) if row else None

    async def write(self, *operations: Operation) -> list[StoreRow]:
        await self._require_version_once()
        versioned = [type(one)(_with_version(one.row)) for one in operations]
        return [_without_version(row) for row in await self.store.write(*versioned)]

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
        await self._require_version_once()
        async for row in self.store.query(
            table, partition, where=where, before=before, after=after, page_size=page_size
        ):
            yield _without_version(row)

    async def _require_version_once(self) -> None:
        if self._is_checked:
            return
        async with self._checking:
            if not self._is_checked:
                await self._mark_or_require_version()
                self._is_checked = True

    async def _mark_or_require_version(self) -> None:
        if await self._is_marked():
            return
        if await self.store.get(*IMPORT):
            raise JobBlocked(
                "An import into the store is not complete.",
                fix="Run `cmkflow state import` again.",
                code=Reason.STORE_OF_ANOTHER_VERSION,
            )
        earlier = await self._find_used_table()
        # Another instance may have marked the store since, and written its first rows.
        if earlier is None:
            try:
                await self.store.write(InsertRow(_with_version(_MARK)))
            except AlreadyExists:
                await self._is_marked()
        elif not await self._is_marked():
            raise JobBlocked(
                f"The store was written by an earlier version of the app (table {earlier}).",
                fix=self._remedy,
                code=Reason.STORE_OF_ANOTHER_VERSION,
            )

    async def _is_marked(self) -> bool:
        """Return whether the store has the mark of this version.

        Raises `JobBlocked` for a later version.
        """
        mark = await self.store.get(*VERSION)
        if mark is None:
            return False
        if (version := mark.columns.get(COLUMN)) != SCHEMA_VERSION:
            raise _build_later_version_error(version)
        return True

    async def _find_used_table(self) -> str | None:
        """Return the name of a table that has a row, or None if the store is empty."""
        for table in (*EARLIER_TABLES, *self._tables):
            async for _ in self.store.query(table):
                return table
        return None


def _build_later_version_error(version: object) -> JobBlocked:
    return JobBlocked(
        f"The store has schema version {version}; this version of the app reads {SCHEMA_VERSION}.",
        fix="Deploy the version of the app that wrote it, or a later one.",
        code=Reason.STORE_OF_ANOTHER_VERSION,
    )


def _with_version(row: StoreRow) -> StoreRow:
    return _with_columns(row, {**row.columns, COLUMN: SCHEMA_VERSION})


def _without_version(row: StoreRow) -> StoreRow:
    """Return the row as it was written.

    Raises `JobBlocked` if a later version of the app wrote it.
    """
    if (version := row.columns.get(COLUMN, SCHEMA_VERSION)) != SCHEMA_VERSION:
        raise _build_later_version_error(version)
    columns = dict(row.columns)
    columns.pop(COLUMN, None)
    return _with_columns(row, columns)


def _with_columns(row: StoreRow, columns: Mapping[str, Scalar]) -> StoreRow:
    # `dataclasses.replace` takes twice as long, for each row that is read or written.
    return StoreRow(
        table=row.table, partition=row.partition, key=row.key, columns=columns, etag=row.etag
    )
