"""When the timer is to look at the row of a job."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.alert import RowName


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """One of them; a row may have several."""

    at: datetime
    row: RowName
    #: When somebody wrote it who was about to write the row.
    written: datetime
    #: When the timer last sent a message because the row was overdue.
    sent: datetime | None = None
