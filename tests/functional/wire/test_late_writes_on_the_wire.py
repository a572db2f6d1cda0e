"""A write that is answered 504 and done later, beside a rollback that has put its caller back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.azure.site_runtime import configuration
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.environments.flow import SimulatedFlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.contract.adapter_world import SITE_ID
from tests.functional.wire.wire_scenario import WireScenario, wire_scenario
from tests.functional.wire.wire_seed import ORDERS, orders, tenant_seed

LATE = timedelta(minutes=3)
STEP = timedelta(seconds=20)


def tenant() -> dict[str, Any]:
    """Return a tenant of one HTTP flow and an app that holds its URL."""
    description = tenant_seed(orders(), assumptions={"late_write_seconds": LATE.total_seconds()})
    settings = {"ORDERS_URL": f"{{{{trigger_url:{ORDERS}}}}}", "COLOUR": "blue"}
    description["azure"]["sites"] = [{"id": SITE_ID, "appSettings": settings}]
    return description


def settings_of(scenario: WireScenario) -> dict[str, str]:
    """Return the app's settings as they are now."""
    return dict(configuration(scenario.tenant.part(Azure), SITE_ID, "appsettings"))


async def call(scenario: WireScenario) -> int:
    """Let the app call the URL that it holds."""
    return await scenario.post(settings_of(scenario)["ORDERS_URL"])


@pytest.mark.parametrize("writes", [1, 3])
async def test_a_late_write_beside_a_rollback_loses_no_call(
    writes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first try is late, the next one heard; or so many are late that the job has to wait."""
    async with wire_scenario(monkeypatch, tmp_path, tenant()) as scenario:
        before, statuses = settings_of(scenario), []
        fault = Fault(
            route="resource_manager.update_application_settings",
            kind=FaultKind.LATE,
            times=writes,
        )
        scenario.tenant.faults.add(fault)
        await scenario.order(run=timedelta(0))
        while not scenario.tenant.faults.is_empty:
            await scenario.run(STEP)
            statuses.append(await call(scenario))

        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        held: set[str] = set()
        for _ in range(2 * LATE // STEP):
            await scenario.run(STEP)
            held.add(settings_of(scenario)["ORDERS_URL"])
            statuses.append(await call(scenario))
        for _ in range(30):
            await scenario.run(timedelta(days=1))
            statuses.append(await call(scenario))

        job = await scenario.job()
        assert job.state is FlowJobState.ROLLED_BACK, job.message
        assert len(held) == 2, "the late write came about after the rollback had begun"
        assert settings_of(scenario) == before
        states = (scenario.flow().state, scenario.flow(job.copy_id).state)
        assert states == (SimulatedFlowState.STARTED, SimulatedFlowState.STOPPED)
        assert {status for status in statuses if status >= 300} == set()
        assert scenario.secrets_seen() == []
