"""The ports for an environment's Dataverse: its organization, and text columns of its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.environment import Environment
from shared.domain.solution_setting import SolutionSetting


class Organization(Protocol):
    """Read and write an organization's setting for new flows, and read names of users and teams."""

    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        """Return the environment's setting that creates new flows in a solution."""

    async def write_solution_setting(
        self, environment: Environment, organization_id: str, *, is_on: bool | None
    ) -> None:
        """Change the environment's setting that creates new flows in a solution.

        The platform may accept the change and not apply it. Raises `NotFound` if there is no
        organization with this id.
        """

    async def read_names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of users and teams by id in lower case. Unknown ids are omitted."""


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
        """Return the rows that meet the column's condition, or none if there is no such table."""

    async def read(self, environment: Environment, column: TextColumn, row_id: str) -> TextRow:
        """Return a row. Raises `NotFound` if it does not exist."""

    async def write(self, environment: Environment, row: TextRow, text: str) -> None:
        """Replace the text of a row.

        Raises `NotFound` if it does not exist, and `Conflict` if its ETag has changed.
        """
