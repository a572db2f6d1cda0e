"""The port for notification channels, each with its own settings."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.alert import Alert
from shared.domain.plans.notification import Notification
from shared.errors import UnusableSetting


class NotificationChannel(Protocol):
    """Send notifications. A notification may arrive twice, with the same id."""

    @property
    def name(self) -> str:
        """Return the name of the channel in settings and on pages."""

    async def send(self, notification: Notification) -> None:
        """Send a notification; raise a `CmkflowError` without the channel's URL if it is
        rejected.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableChannel:
    """A channel with an invalid setting. It rejects all notifications; the app works without it."""

    name: str
    #: An error with the setting's name and a fix, without its value.
    error: UnusableSetting

    async def send(self, notification: Notification) -> None:  # noqa: ARG002 -- the port's
        """Raise the error of the setting."""
        raise self.error


class AlertSender(Protocol):
    """Send alerts; an alert may arrive twice."""

    async def send(self, notice: Alert) -> None:
        """Send an alert."""
