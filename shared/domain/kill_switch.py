"""Define the kill switch, which stops every write of the app."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """The state of the switch, and who set it."""

    name: str
    is_on: bool
    changed_by: str
    changed_at: datetime
    justification: str = ""
