"""Apply the request budget of the flow service to a scenario, and record each request."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.services import Services
from tests.fakes.clock import count_most_within
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario

MINUTE = timedelta(minutes=1)
#: Ports of the flow service, and those of Dataverse and the admin API that each flow needs.
SCARCE = ("flow_reports", "flow_access", "flow_switch")
PLENTY = ("workflows", "flow_sharing", "solutions", "connection_references", "environments")
#: A write does not wait for the budget.
WRITES = {"grant", "revoke", "start", "stop"}


@dataclass(slots=True)
class Meter:
    """The times of all requests, by port."""

    made: dict[str, list[datetime]] = field(
        default_factory=lambda: {name: [] for name in (*SCARCE, *PLENTY)}
    )

    @property
    def flow_service_requests(self) -> Sequence[datetime]:
        return sorted(moment for name in SCARCE for moment in self.made[name])

    def find_most_in_a_minute(self) -> int:
        assert self.flow_service_requests, "no request was recorded"
        return count_most_within(self.flow_service_requests, MINUTE)

    def count_requests(self) -> Counter[str]:
        """Return how many requests went to the flow service (`scarce`) and to other services
        (`plenty`).
        """
        return Counter(
            scarce=len(self.flow_service_requests),
            plenty=sum(len(self.made[name]) for name in PLENTY),
        )


class Metered:
    """A wrapper of a port that records each method call as a request, and takes it from the budget
    if there is one.
    """

    def __init__(
        self, port: object, budget: StoredRequestBudget | None, made: list[datetime], ports: Ports
    ) -> None:
        self._port, self._budget, self._made, self._clock = port, budget, made, ports.clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def call_metered(*arguments: Any, **named: Any) -> Any:
            if self._budget:
                if name not in WRITES:
                    await self._budget.wait_for_requests()
                await self._budget.take(is_write=name in WRITES)
            self._made.append(self._clock.now())
            return await method(*arguments, **named)

        return call_metered


def put_on_budget(scenario: Scenario, limit: BudgetLimit, meter: Meter) -> None:
    """Let the scenario's processes keep this budget, and record their requests in the meter."""
    make = scenario.driver.make

    def call_metered(ports: Ports) -> Services:
        budget, services = StoredRequestBudget(ports.store, ports.clock, limit), make(ports)
        behind: dict[str, Any] = {
            name: Metered(getattr(services, name), budget if name in SCARCE else None, made, ports)
            for name, made in meter.made.items()
        }
        return replace(services, request_budget=budget, **behind)

    scenario.driver.make = call_metered
