"""Test that an invocation sends as many requests to the flow service as it has reserved.

If it reserves too many, other jobs wait for nothing. If it reserves too few, it has to wait itself.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from local_cloud.tenant.core.requests import CallLog
from shared.domain.request_demand import RequestDemand
from tests.fakes.runtime import UnlimitedRequests
from tests.functional.wire.wire_scenario import WIDE
from tests.performance.remediation_figures import count_by_service, open_simulated_run
from tests.performance.test_requests_per_flow import build_seeds

LIST = "flow_service.admin_list_flows_on_microsoft_key"
#: Of each scenario: what each delivery of a flow job takes.
TAKES = {
    "one called flow, a caller": [1, 3, 2],
    "the same with an HTTP action": [1, 3, 3],
    "one self-starting flow": [1, 0, 0],
}


@dataclass(slots=True)
class Deliveries(UnlimitedRequests):
    """A request budget without limits, which records the reserved and the sent requests of each
    invocation.
    """

    calls: CallLog
    took: list[tuple[int, int]] = field(default_factory=list)

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        """Run the block. If a flow job runs in it, record how many requests the job reserved and
        sent.
        """
        before = self._count_requests()
        yield
        if need and need.row[0] == "flowjobs":
            self.took.append((need.requests, self._count_requests() - before))

    def _count_requests(self) -> int:
        return count_by_service(self.calls.capabilities)["flow_service"] - self.calls.routes[LIST]


async def measure_invocations(description: dict[str, Any]) -> list[tuple[int, int]]:
    """Return for each invocation of a flow job the number of reserved and of sent requests."""
    async with open_simulated_run(description, WIDE) as moved:
        scenario = moved.scenario
        plan = await moved.start_and_plan()
        counted = Deliveries(scenario.tenant.calls)
        scenario.services = replace(scenario.services, request_budget=counted)
        await moved.approve_and_retire(plan)
        return counted.took


@pytest.mark.parametrize("name", TAKES)
async def test_invocation_sends_the_reserved_number_of_requests(name: str) -> None:
    took = await measure_invocations(build_seeds()[name])

    assert took == [(calls, calls) for calls in TAKES[name]]


async def test_invocation_needs_more_requests_if_a_share_does_not_suffice() -> None:
    """The app first tries a share in Dataverse, which costs six more requests."""
    took = await measure_invocations(build_seeds()["the same without a Dataverse share"])

    assert took == [(1, 1), (3, 9), (2, 2)]
