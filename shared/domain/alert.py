"""Define the alert: a stored record that a person must act, and the row that it is about."""

from dataclasses import dataclass
from datetime import datetime

#: Table, partition and key.
type RowName = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert about one row. A row has at most one alert per code, until the reason is fixed."""

    #: Listed in docs/runbook.md.
    reason_code: str
    row: RowName
    #: Why the alert was raised; holds no secret.
    message: str
    raised_at: datetime
    #: What to do, where the code alone does not say it. Names the row.
    fix: str = ""
