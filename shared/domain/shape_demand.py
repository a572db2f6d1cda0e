"""Record that an environment rejects older connector formats in saved definitions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: The platform's behaviour changes (platform.md#shape-demand), so after this time the app tries to
#: save a definition unchanged.
DEMAND_LASTS = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeDemand:
    """The record that an environment rejected a save in an older connector format.

    See platform.md#connector-shapes.
    """

    environment_id: str
    seen: datetime

    def lasts(self, now: datetime) -> bool:
        """Return whether the app still converts definitions before it saves them in the
        environment.
        """
        return now < self.seen + DEMAND_LASTS
