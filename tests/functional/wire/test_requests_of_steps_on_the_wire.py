from pathlib import Path

import pytest

from local_cloud.tenant.core.tenant import Tenant
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.wire.wire_scenario import serve_wire_scenario
from tests.functional.wire.wire_seed import CHILD, ORDERS, build_flow_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import DAILY, HTTP, build_child_action, build_definition

DAY = "00000000-0000-4000-8000-0000000000d1"


def count_requests(tenant: Tenant) -> int:
    """Return the number of requests that reached the tenant, except those to sign in."""
    routes = tenant.calls.routes
    return sum(number for route, number in routes.items() if not route.startswith("entra."))


async def test_histories_of_all_jobs_count_every_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = build_flow_seed(CHILD, "Book", build_definition(HTTP))
    parent = build_flow_seed(
        ORDERS, "Take orders", build_definition(HTTP, build_child_action(CHILD))
    )
    daily = build_flow_seed(DAY, "Daily", build_definition(DAILY), heldBack=True)
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(child, parent, daily)
    ) as scenario:
        scenario.between = scenario.tenant.calls.reset
        await scenario.order()

        environment_job, jobs = await scenario.read_environment_job(), await scenario.read_jobs()
        assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
        lines = [line for job in (environment_job, *jobs.values()) for line in job.history]
        assert sum(line.requests for line in lines) == count_requests(scenario.tenant)
        took = {line.state: line.requests for line in jobs[DAY].history}
        assert took["copying"] > 0 < took["cutting_over"]
        assert took["retired"] == 0
