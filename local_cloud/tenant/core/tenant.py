"""The state of one simulated tenant, which its services share."""

from typing import cast

from local_cloud.tenant.core.clock import SimulatedClock
from local_cloud.tenant.core.events import EventPublisher, Outbox
from local_cloud.tenant.core.faults import FaultPlan
from local_cloud.tenant.core.requests import CallLog
from local_cloud.tenant.core.tokens import TokenIssuer


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
