"""A way to tell people: each channel is set up by its own settings."""

from typing import Protocol

from shared.domain.plans.notification import Notification


class Channel(Protocol):
    """Takes notifications; one may come twice, with the same id."""

    @property
    def name(self) -> str:
        """Return what settings and pages call it."""

    async def send(self, notification: Notification) -> None:
        """Send it; raises a `ProductError` where it is not taken, without the channel's address."""
