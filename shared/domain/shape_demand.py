"""What an environment demands of the definitions that are saved there."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: The demand comes and goes (platform.md#shape-demand): after this time the app saves a definition
#: as it is.
DEMAND_LASTS = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeDemand:
    """An environment refused to save an older connector shape (platform.md#connector-shapes)."""

    environment_id: str
    seen: datetime

    def lasts(self, now: datetime) -> bool:
        """Say whether a save there is converted before it is tried."""
        return now < self.seen + DEMAND_LASTS
