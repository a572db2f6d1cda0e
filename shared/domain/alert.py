"""What a person is told of: something that does not go on by itself, and which row it is about."""

from dataclasses import dataclass
from datetime import datetime

#: Table, partition and key.
type RowName = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell; a row is told of once for each code, until that is settled."""

    #: Has a line in docs/runbook.md.
    code: str
    row: RowName
    #: Why, without secrets.
    cause: str
    at: datetime
    #: What to do, where the code alone does not say it; it names the row.
    instruction: str = ""
