"""A way to notify people: each channel is set up by its own settings."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.plans.notification import Notification
from shared.errors import UnusableSetting


class NotificationChannel(Protocol):
    """Takes notifications; one may come twice, with the same id."""

    @property
    def name(self) -> str:
        """Return what settings and pages call it."""

    async def send(self, notification: Notification) -> None:
        """Send it; raises a `CmkflowError` where it is not taken, without the channel's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableChannel:
    """A channel with a setting that cannot be used. It takes nothing; the app works without it."""

    name: str
    #: Names the setting, without its value, and what to do.
    error: UnusableSetting

    async def send(self, notification: Notification) -> None:  # noqa: ARG002 -- the port's
        """Raise the error."""
        raise self.error
