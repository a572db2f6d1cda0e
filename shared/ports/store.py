"""The ports for stored rows and archived definitions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

type Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """A row of a table. A text has up to 32,768 characters (64 KiB), a row up to 1 MiB."""

    table: str
    partition: str
    key: str
    columns: Mapping[str, Scalar]
    #: None if the row was never stored.
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class InsertRow:
    """Store a new row; raise `AlreadyExists` if it exists."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class ReplaceRow:
    """Replace the row with this ETag; raise `Conflict` if it changed or does not exist."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class UpsertRow:
    """Store a row, whether or not it exists."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class DeleteRow:
    """Delete the row with this ETag (None: any); raise `Conflict`, or `NotFound` if missing."""

    row: StoreRow


type Operation = InsertRow | ReplaceRow | UpsertRow | DeleteRow


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a column with a value; `op` is one of `eq ne lt le gt ge`."""

    column: str
    op: str
    value: Scalar


class Store(Protocol):
    """Store rows in tables like Azure Table storage; raise `ValueError` beyond its limits."""

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        """Return the row, or None."""

    async def write(self, *operations: Operation) -> list[StoreRow]:
        """Run all operations or none: up to 100 on one partition of one table, one per row.

        Returns the rows with their new ETags (deleted ones unchanged).
        """

    def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
        after: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[StoreRow]:
        """Yield rows in the order of partition and key.

        `before`, `after`: only rows of the given partition with a smaller, or larger, key.
        `page_size`: rows to ask the storage for at a time, if the reader stops early; at most 500.
        """


class Archive(Protocol):
    """Store definitions unchanged and encrypted: the only place that may contain signatures."""

    async def put(self, name: str, content: bytes) -> str:
        """Write `content` to `name` (`/` allowed) unless it exists; return its path."""

    async def get(self, name: str) -> bytes:
        """Return the content of `name`; raise `NotFound`."""

    async def list_names(self, folder: str = "") -> list[str]:
        """Return the names that begin with `folder` (`a/b/`), in their order; default: all."""

    async def delete(self, name: str) -> None:
        """Delete `name` if it exists; raise `Conflict` if a retention policy keeps it."""
