"""The port for notification channels."""

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
        """Send a notification. Raises a `CmkflowError` if it is rejected. The error's text does not
        contain the channel's URL.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableChannel:
    """A channel that rejects all notifications, because its setting is invalid."""

    name: str
    #: An error with the setting's name and a fix, without its value.
    error: UnusableSetting

    async def send(self, notification: Notification) -> None:  # noqa: ARG002 -- the port's
        """Raise the error about the setting."""
        raise self.error


class AlertSender(Protocol):
    """Send alerts; an alert may arrive twice."""

    async def send(self, notice: Alert) -> None:
        """Send an alert."""
