"""A delivery takes the calls of the flow service that were reserved for it: no more, no fewer.

What it asks for too many is kept from others for a moment; for one too few it waits inside. Counted
at the tenant for each delivery of a flow job, from the approved plan to the retired original. The
list of flows on Microsoft's key is apart: whoever comes first reads it for all.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from local_cloud.tenant.core.requests import CallLog
from shared.domain.request_demand import RequestDemand
from tests.fakes.calls import PlentyOfCalls
from tests.functional.wire.wire_scenario import WIDE
from tests.performance.remediation_figures import by_service, moved_scenario
from tests.performance.test_calls_per_flow import scenarios

LIST = "flow_service.admin_list_flows_on_microsoft_key"
#: Of each scenario: what each delivery of a flow job takes.
TAKES = {
    "one called flow, a caller": [1, 3, 2],
    "the same with an HTTP action": [1, 3, 3],
    "one self-starting flow": [1, 0, 0],
}


@dataclass(slots=True)
class Deliveries(PlentyOfCalls):
    """A budget that allows every request and records each reservation and its requests."""

    calls: CallLog
    took: list[tuple[int, int]] = field(default_factory=list)

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        """Let the work begin, and record its requests when it ends."""
        before = self._made()
        yield
        if need and need.row[0] == "flowjobs":
            self.took.append((need.requests, self._made() - before))

    def _made(self) -> int:
        return by_service(self.calls.capabilities)["flow_service"] - self.calls.routes[LIST]


async def deliveries(description: dict[str, Any]) -> list[tuple[int, int]]:
    """Return for each invocation of a flow job the reserved and the sent requests."""
    async with moved_scenario(description, WIDE) as moved:
        scenario = moved.scenario
        plan = await moved.plan()
        counted = Deliveries(scenario.tenant.calls)
        scenario.services = replace(scenario.services, request_budget=counted)
        await moved.carry_out(plan)
        return counted.took


@pytest.mark.parametrize("name", TAKES)
async def test_a_delivery_takes_the_calls_that_are_reserved_for_it(name: str) -> None:
    """The numbers are equal for every sort of flow."""
    took = await deliveries(scenarios()[name])

    assert took == [(calls, calls) for calls in TAKES[name]]


async def test_a_delivery_waits_for_more_where_the_flow_service_itself_has_to_lend() -> None:
    """The first flow needs six more, because the app must try whether a share gives access."""
    took = await deliveries(scenarios()["the same without a Dataverse share"])

    assert took == [(1, 1), (3, 9), (2, 2)]
