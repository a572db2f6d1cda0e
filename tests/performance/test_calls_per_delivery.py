"""Test that an invocation sends as many flow service requests as it has reserved.

If a job reserves too many, others wait; if it reserves too few, the invocation waits. The tenant
counts the requests of each invocation from the approved plan to the retired original, without those
for the list of flows on Microsoft's key, which the first job reads for all jobs.
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
from tests.performance.remediation_figures import count_by_service, open_moved_scenario
from tests.performance.test_calls_per_flow import build_seeds

LIST = "flow_service.admin_list_flows_on_microsoft_key"
#: Of each scenario: what each delivery of a flow job takes.
TAKES = {
    "one called flow, a caller": [1, 3, 2],
    "the same with an HTTP action": [1, 3, 3],
    "one self-starting flow": [1, 0, 0],
}


@dataclass(slots=True)
class Deliveries(PlentyOfCalls):
    """A budget that allows every request, and records each reservation and its requests."""

    calls: CallLog
    took: list[tuple[int, int]] = field(default_factory=list)

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        """Let the work begin, and record its requests when it ends."""
        before = self._count_calls()
        yield
        if need and need.row[0] == "flowjobs":
            self.took.append((need.requests, self._count_calls() - before))

    def _count_calls(self) -> int:
        return count_by_service(self.calls.capabilities)["flow_service"] - self.calls.routes[LIST]


async def measure_invocations(description: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the reserved and the sent requests of each invocation of a flow job."""
    async with open_moved_scenario(description, WIDE) as moved:
        scenario = moved.scenario
        plan = await moved.start_and_plan()
        counted = Deliveries(scenario.tenant.calls)
        scenario.services = replace(scenario.services, request_budget=counted)
        await moved.approve_and_retire(plan)
        return counted.took


@pytest.mark.parametrize("name", TAKES)
async def test_invocation_sends_the_reserved_number_of_requests(name: str) -> None:
    """The numbers are equal for every kind of flow."""
    took = await measure_invocations(build_seeds()[name])

    assert took == [(calls, calls) for calls in TAKES[name]]


async def test_invocation_needs_more_requests_if_a_share_does_not_suffice() -> None:
    """The first flow needs six more, because the app first tries whether a share gives access."""
    took = await measure_invocations(build_seeds()["the same without a Dataverse share"])

    assert took == [(1, 1), (3, 9), (2, 2)]
