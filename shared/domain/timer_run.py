"""When a timer last came to its end: one that stands still is noticed by that."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerRun:
    """The last run of a timer that came to its end."""

    timer: str
    completed_at: datetime
