"""Define the alert, a stored record which says that a person must act, and why."""

from dataclasses import dataclass
from datetime import datetime

#: Table, partition and key.
type RowName = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A record which says that a person must act because of a row, such as that of a blocked job.

    It exists until the reason is fixed. A row has at most one alert for each reason code.
    """

    #: Listed in docs/runbook.md.
    reason_code: str
    row: RowName
    #: Why the alert was raised; holds no secret.
    message: str
    raised_at: datetime
    #: What to do, where the code alone does not say it. Names the row.
    fix: str = ""
