"""Define the wake-up: a stored time at which the timer sends a message for a row."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.alert import RowName


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """A time at which the timer sends a message for a row. A row may have several."""

    wake_at: datetime
    row: RowName
    #: When it was written, before the row itself was.
    written_at: datetime
    #: When the timer last sent a message because the row was overdue.
    message_sent_at: datetime | None = None
