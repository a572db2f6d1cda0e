"""Telling people what needs one of them."""

from typing import Protocol

from shared.domain.alert import Alert


class AlertSender(Protocol):
    """Carries a notice to wherever people look; a notice may come twice."""

    async def send(self, notice: Alert) -> None:
        """Tell it."""
