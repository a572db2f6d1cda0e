"""Describe a table of Dataverse that the tenant simulates."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTable:
    """The names, columns and keys of one table."""

    entity_set: str
    logical_name: str
    key: str
    #: Columns with their defaults; a row has no others.
    columns: dict[str, Any]
    #: Columns that a create must name.
    required: tuple[str, ...] = ()
    #: Columns that are stored but not returned, each with the column that shows whether it is set.
    write_only: dict[str, str] = field(default_factory=dict)
    #: Characters of the longest text of a column.
    max_lengths: dict[str, int] = field(default_factory=dict)
    #: Rows have ETags, and writes may require one (platform.md#row-versions).
    has_row_versions: bool = True
    #: Lookup columns: name → entity set of what they point to.
    lookups: dict[str, str] = field(default_factory=dict)
    is_read_only: bool = False
    #: An environment has the table only if the seed has rows for it.
    is_optional: bool = False
    #: Every member of the environment may add rows, which are then theirs.
    is_user_owned: bool = False
