"""Record when a timer last completed, to detect one that has stopped."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerRun:
    """The row of the last completed run of a timer."""

    timer: str
    completed_at: datetime
