"""The port for alerts about rows that need an action."""

from typing import Protocol

from shared.domain.alert import Alert


class AlertSender(Protocol):
    """Send alerts; an alert may arrive twice."""

    async def send(self, notice: Alert) -> None:
        """Send an alert."""
