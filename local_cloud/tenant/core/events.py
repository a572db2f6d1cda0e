"""Define the messages that the tenant sends to queues in place of Event Grid."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedQueueMessage:
    """A message that the tenant sends to a queue."""

    queue: str
    body: str
    content_type: str = "application/json"
    message_id: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


#: Sends a message; set by the code that starts the tenant.
EventPublisher = Callable[[SimulatedQueueMessage], Awaitable[None]]


class Outbox:
    """Stores what the tenant publishes while no Service Bus is connected."""

    def __init__(self) -> None:
        self.messages: list[SimulatedQueueMessage] = []

    async def __call__(self, message: SimulatedQueueMessage) -> None:
        """Store a message."""
        self.messages.append(message)
