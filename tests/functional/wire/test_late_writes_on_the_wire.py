from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.azure.site_runtime import get_configuration
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.environments.flow import SimulatedFlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.contract.adapter_world import SITE_ID
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import ORDERS, build_orders_seed, build_tenant_seed

LATE = timedelta(minutes=3)
STEP = timedelta(seconds=20)


def build_tenant() -> dict[str, Any]:
    description = build_tenant_seed(
        build_orders_seed(), assumptions={"late_write_seconds": LATE.total_seconds()}
    )
    settings = {"ORDERS_URL": f"{{{{trigger_url:{ORDERS}}}}}", "COLOUR": "blue"}
    description["azure"]["sites"] = [{"id": SITE_ID, "appSettings": settings}]
    return description


def read_settings(scenario: WireScenario) -> dict[str, str]:
    return dict(get_configuration(scenario.tenant.get_part(Azure), SITE_ID, "appsettings"))


async def call_flow(scenario: WireScenario) -> int:
    return await scenario.post(read_settings(scenario)["ORDERS_URL"])


@pytest.mark.parametrize("writes", [1, 3])
async def test_late_write_during_a_rollback_loses_no_call(
    writes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant()) as scenario:
        before, statuses = read_settings(scenario), []
        fault = Fault(
            route="resource_manager.update_application_settings",
            kind=FaultKind.LATE,
            times=writes,
        )
        scenario.tenant.faults.add(fault)
        await scenario.order(run=timedelta(0))
        while not scenario.tenant.faults.is_empty:
            await scenario.run(STEP)
            statuses.append(await call_flow(scenario))

        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        held: set[str] = set()
        for _ in range(2 * LATE // STEP):
            await scenario.run(STEP)
            held.add(read_settings(scenario)["ORDERS_URL"])
            statuses.append(await call_flow(scenario))
        for _ in range(30):
            await scenario.run(timedelta(days=1))
            statuses.append(await call_flow(scenario))

        job = await scenario.read_job()
        assert job.state is FlowJobState.ROLLED_BACK, job.message
        assert len(held) == 2, "the late write came about after the rollback had begun"
        assert read_settings(scenario) == before
        states = (scenario.find_flow().state, scenario.find_flow(job.copy.id).state)
        assert states == (SimulatedFlowState.STARTED, SimulatedFlowState.STOPPED)
        assert {status for status in statuses if status >= 300} == set()
        assert scenario.find_leaked_signatures() == []
