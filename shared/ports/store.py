"""The ports for stored rows, archived definitions and declared callers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.callers.declared_caller import DeclaredCaller
from shared.errors import UnreadableRow

type Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """A row of a table. A text may have up to 32,768 characters (64 KiB), a row up to 1 MiB."""

    table: str
    partition: str
    key: str
    columns: Mapping[str, Scalar]
    #: None if the row was never stored.
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class InsertRow:
    """Store a new row. Raises `AlreadyExists` if a row with this key exists."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class ReplaceRow:
    """Replace the row with this ETag. Raises `Conflict` if it changed or does not exist."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class UpsertRow:
    """Store a row in place of any that exists."""

    row: StoreRow


@dataclass(frozen=True, slots=True)
class DeleteRow:
    """Delete the row if it has this ETag, or in any case if `etag` is None.

    Raises `Conflict` if it has another, and `NotFound` if there is none.
    """

    row: StoreRow


type Operation = InsertRow | ReplaceRow | UpsertRow | DeleteRow


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a column with a value. `op` is one of `eq ne lt le gt ge`."""

    column: str
    op: str
    value: Scalar


class Store(Protocol):
    """Stores rows in tables like those of Azure Table storage.

    Raises `ValueError` for a row beyond its limits.
    """

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        """Return the row with this key, or None if there is none."""

    async def write(self, *operations: Operation) -> list[StoreRow]:
        """Run all operations or none, and return the rows with their new ETags.

        Deleted rows are returned unchanged. There are up to 100 operations, in one partition of one
        table and each on another row.
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

        `before` and `after` limit the rows of the given partition to those with a smaller, or
        larger, key. `page_size` is how many rows one request reads, at most 500, for a reader that
        stops early.
        """


class Archive(Protocol):
    """Stores definitions unchanged and encrypted. No other part of the app may store signatures."""

    async def put(self, name: str, content: bytes) -> str:
        """Store `content` under `name`, which may contain `/`, unless the file exists.

        Return its path.
        """

    async def get(self, name: str) -> bytes:
        """Return the content of the file `name`. Raises `NotFound` if it does not exist."""

    async def list_names(self, folder: str = "") -> list[str]:
        """Return the names of all files that begin with `folder` (`a/b/`), sorted.

        Without `folder`, return all names.
        """

    async def delete(self, name: str) -> None:
        """Delete the file `name` if it exists. Raises `Conflict` if a retention policy keeps it."""


class StoredDeclaredCaller(Protocol):
    """A row with a declared caller."""

    @property
    def item(self) -> DeclaredCaller:
        """Return the declared caller."""


class DeclaredCallers(Protocol):
    """Read the declared callers that the app stores."""

    def scan(
        self, partition: str | None = None, /
    ) -> AsyncIterator[StoredDeclaredCaller | UnreadableRow]:
        """Yield every declared caller, with an error in place of each unreadable row."""

    async def get(self, partition: str, key: str, /) -> StoredDeclaredCaller | None:
        """Return the declared caller with an id, or None.

        Raises `UnreadableRow` if its row is unreadable.
        """
