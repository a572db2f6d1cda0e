"""Define the kill switch. `EFFECT` says what it stops."""

from dataclasses import dataclass
from datetime import datetime

#: What the app does while the switch is on (docs/adr/0016-never-both-off.md).
EFFECT = "The app writes nothing, except to turn on a flow that a cutover left off."


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """The state of the switch, and who set it."""

    name: str
    is_on: bool
    changed_by: str
    changed_at: datetime
    justification: str = ""
