"""Where rows and definitions are kept."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

type Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """One row of a table. Strings are at most 32,768 characters (64 KiB), a row 1 MiB."""

    table: str
    partition: str
    key: str
    columns: Mapping[str, Scalar]
    #: None in a row that was never stored.
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class InsertRow:
    """Store a new row; `AlreadyExists` if there is one."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class ReplaceRow:
    """Store a row over the one with its ETag; `Conflict` if that has changed or gone."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class UpsertRow:
    """Store a row, whatever is there."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class DeleteRow:
    """Remove the row with this ETag (None: any); `Conflict` if changed, `NotFound` if gone."""

    row: StoreRow


type Operation = InsertRow | ReplaceRow | UpsertRow | DeleteRow


@dataclass(frozen=True, slots=True)
class Condition:
    """A column compared with a value; `op` is one of `eq ne lt le gt ge`."""

    column: str
    op: str
    value: Scalar


class Store(Protocol):
    """Rows in tables, shaped like Azure Table storage; its limits are refused as `ValueError`."""

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        """Return the row, or None."""

    async def write(self, *operations: Operation) -> list[StoreRow]:
        """Do all or nothing: at most 100 operations on one partition of one table, one per row.

        Returns the rows with their new ETags (deleted ones as they were given).
        """

    def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
    ) -> AsyncIterator[StoreRow]:
        """Yield rows in the order of partition and key.

        `before`: only those of a partition that is given with a smaller key; found by their keys.
        """


class Archive(Protocol):
    """Keeps definitions as they were, encrypted: the one place where a signature may rest."""

    async def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name` (`/` allowed) unless it is there; return where it stands."""

    async def get(self, name: str) -> bytes:
        """Return what was kept; raises `NotFound`."""
