"""Store the state of one simulated tenant, which all its services share.

The tenant itself sends to queues the messages that Event Grid would send.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from local_cloud.tenant.core.clock import SimulatedClock
from local_cloud.tenant.core.faults import FaultPlan
from local_cloud.tenant.core.requests import CallLog
from local_cloud.tenant.core.tokens import TokenIssuer


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedQueueMessage:
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
        self.messages.append(message)


class Tenant:
    """A simulated Entra tenant with its Power Platform and its Azure subscriptions."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.tokens = TokenIssuer()
        self.faults = FaultPlan()
        self.calls = CallLog(self.clock)
        self.outbox = Outbox()
        #: Publishes an event to a Service Bus queue: `await
        #: tenant.events(SimulatedQueueMessage(...))`.
        self.events: EventPublisher = self.outbox
        self._parts: dict[type, object] = {}

    def get_part[State](self, kind: type[State]) -> State:
        """Return the state of one service, such as `tenant.get_part(Azure)`.

        It is created on first use. Each service has its state class beside its routes, so this
        module knows none of them.
        """
        if kind not in self._parts:
            self._parts[kind] = kind()
        return cast("State", self._parts[kind])
