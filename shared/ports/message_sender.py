"""The port for queue messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A queue message. Of messages with the same id within ten minutes, one is sent."""

    queue: str
    message_id: str
    body: Mapping[str, object]
    #: Delivery time; None: now.
    due: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class MessageSender(Protocol):
    """Send messages to Service Bus queues."""

    async def send(self, *messages: QueueMessage) -> None:
        """Send all messages. Raises `TransientError` if some may not have been sent."""

    async def require_sending_allowed(self, queue: str) -> None:
        """Raise an error if the app cannot send to a queue. No message is sent."""

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        """Return the number of messages in a queue or its dead-letter queue, up to 1,000."""
