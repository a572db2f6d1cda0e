"""The port for text columns of Dataverse tables, which can hold trigger URLs or flow ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """A text column of a Dataverse table, and what is read with it."""

    #: Name of the table in URLs, such as `serviceendpoints`.
    entity_set: str
    #: The columns with the id and the name of a row, and the one with its text.
    key: str
    name: str
    text: str
    #: OData condition of the rows that are listed.
    condition: str
    #: Further columns.
    others: tuple[str, ...] = ()
    #: A lookup and the columns of the row that it refers to, such as `siteid($select=name)`.
    expand: str = ""
    #: Each row has an ETag that changes with every write (platform.md#row-versions).
    has_row_versions: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRow:
    """A row with the text of a column. The text may contain signatures: never log or store it."""

    column: TextColumn
    id: str
    name: str
    text: str = field(repr=False)
    #: Empty if the table has no row versions.
    etag: str
    #: Values of the further columns; a lookup has an object with the columns of its row.
    others: Mapping[str, object] = field(repr=False)


class TextRows(Protocol):
    """Read and write text columns of any Dataverse table as the application."""

    async def list(self, environment: Environment, column: TextColumn) -> list[TextRow]:
        """Return the rows that meet the column's condition, or no rows if the environment has no
        such table.

        Concurrent reads of an environment are sent as one request.
        """

    async def read(self, environment: Environment, column: TextColumn, row_id: str) -> TextRow:
        """Return a row. Raises `NotFound` if it does not exist."""

    async def write(self, environment: Environment, row: TextRow, text: str) -> None:
        """Replace the text of a row.

        Raises `NotFound` if it does not exist, and `Conflict` if its ETag has changed.
        """
