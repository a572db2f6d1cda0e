"""Whether the kill switch is on, and who turned it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """A switch: `kill-switch` on stops every write."""

    name: str
    is_on: bool
    by: str
    at: datetime
    reason: str = ""
