"""Events that the tenant sends to queues, as Event Grid delivers them to Service Bus."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedQueueMessage:
    """One message for a Service Bus queue."""

    queue: str
    body: str
    content_type: str = "application/json"
    message_id: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


#: Sends a message; whoever starts the tenant sets it.
EventPublisher = Callable[[SimulatedQueueMessage], Awaitable[None]]


class Outbox:
    """Keeps what was published, for a tenant that is not joined to a Service Bus."""

    def __init__(self) -> None:
        self.messages: list[SimulatedQueueMessage] = []

    async def __call__(self, message: SimulatedQueueMessage) -> None:
        """Keep a message."""
        self.messages.append(message)
