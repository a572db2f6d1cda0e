"""Messages between deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A message of our own. Equal ids within ten minutes are one message."""

    queue: str
    message_id: str
    body: Mapping[str, object]
    #: Deliver at this time; None: now.
    due: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class MessageSender(Protocol):
    """Sends to Service Bus queues."""

    async def send(self, *messages: QueueMessage) -> None:
        """Send all; raises `TransientError` if any may not have been taken."""

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        """Count what waits in a queue, or in its dead-letter queue; at most 1,000 are counted."""
