import json
from pathlib import Path
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.use_cases import change_remediation
from tests.functional.wire.wire_scenario import SHORT, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_flow_seed, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, build_definition

ADMIN = "f0000000-0000-4000-8000-0000000000ad"
PREPARE = RemediationMode.PREPARE
_MANAGEMENT = "shared_flowmanagement"


def build_power_apps_flow(number: int = 1, *, name: str = "") -> dict[str, Any]:
    flow_id = f"f0000000-0000-4000-8000-0000000001{number:02d}"
    schema = {"properties": {"Name_Value": {"type": "string"}}, "required": ["Name_Value"]}
    trigger = {"type": "Request", "kind": "PowerApp", "inputs": {"schema": schema}}
    actions = {"Use": {"type": "Compose", "inputs": "@triggerBody()?['Name_Value']"}}
    more = {"name": name} if name else {}
    content = build_definition(trigger, actions)
    return build_flow_seed(flow_id, f"App {number}", content, inSolution=False, **more)


def build_admin_flow() -> dict[str, Any]:
    host = {
        "apiId": f"/providers/Microsoft.PowerApps/apis/{_MANAGEMENT}",
        "connectionName": _MANAGEMENT,
        "operationId": "ListFlowsInEnvironment",
    }
    action = {
        "type": "OpenApiConnection",
        "inputs": {"host": host, "parameters": {"environmentName": "x"}},
    }
    trigger = {"type": "Recurrence", "recurrence": {"frequency": "Day", "interval": 1}}
    return build_flow_seed(ADMIN, "Admin", build_definition(trigger, {"List": action}))


async def read_microsoft_key_flows(scenario: WireScenario) -> set[str]:
    """Return the titles of the flows that are, or would stay, on Microsoft's key."""
    page = await scenario.services.flow_reports.read_microsoft_key_flows(
        ENVIRONMENT, cannot_migrate_only=True
    )
    return {flow.display_name for flow in page.items}


async def test_prepare_adds_twenty_flows_to_a_solution_per_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant_seed(
        *(build_power_apps_flow(number) for number in range(45)), build_orders_seed(), policy=None
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = await read_microsoft_key_flows(scenario)

        await scenario.order(mode=PREPARE, run=SHORT)

        jobs = await scenario.read_jobs()
        assert len(before) == 46
        assert {job.state for job in jobs.values()} == {FlowJobState.PREPARED}, jobs
        assert len(jobs) == 45
        assert await read_microsoft_key_flows(scenario) == {"Take orders"}
        routes = scenario.tenant.calls.routes
        assert routes["flow_service.admin_move_into_solution"] == 3
        # Each flow is read back once, and the first one of each batch is also read before.
        assert routes["flow_service.admin_get_flow"] == 45 + 3


async def test_named_power_apps_flow_is_converted_and_rolled_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The flow's name in the flow service differs from its Dataverse id."""
    name = "e0000000-0000-4000-8000-0000000000f1"
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_power_apps_flow(name=name), policy=None)
    ) as (scenario):
        (flow,) = scenario.environment.order
        before = flow.client_data

        await scenario.order(name, mode=PREPARE, run=SHORT)
        (job,) = (await scenario.read_jobs()).values()
        converted = flow.client_data
        stays = await read_microsoft_key_flows(scenario)
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(SHORT)

        assert job.state is FlowJobState.PREPARED, job
        assert stays == set()
        text = json.dumps(json.loads(converted))
        assert '"kind": "PowerAppV2"' in text
        assert "triggerBody()?['text']" in text
        (job,) = (await scenario.read_jobs()).values()
        assert job.state is FlowJobState.ROLLED_BACK, job
        assert json.loads(flow.client_data) == json.loads(before)
        assert flow.is_in_solution


async def test_named_admin_flow_is_edited_although_a_key_is_applied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_admin_flow())
    ) as scenario:
        before = await read_microsoft_key_flows(scenario)

        await scenario.order(ADMIN, run=SHORT)

        (item,) = await scenario.services.tables.plan_items.read_all(
            (await scenario.read_environment_job()).id
        )
        assert before == {"Admin"}
        assert item.action is PlannedAction.EDIT_ACTION
        assert "+" in item.conversion_preview
        assert (await scenario.read_job(ADMIN)).state is FlowJobState.PREPARED
        assert "ListFlowsInEnvironment_V2" in scenario.find_flow(ADMIN).client_data
        everything = await scenario.services.flow_reports.read_microsoft_key_flows(
            ENVIRONMENT, cannot_migrate_only=False
        )
        assert everything.items == ()


async def test_prepare_is_blocked_if_the_platform_rejects_applications(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Microsoft does not document whether an application may add flows to solutions."""
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_power_apps_flow(), policy=None)
    ) as scenario:
        (flow,) = scenario.environment.order
        scenario.assumptions.delegated_only.add("flow_service.admin_move_into_solution")

        await scenario.order(mode=PREPARE, run=SHORT)

        (job,) = (await scenario.read_jobs()).values()
        assert job.state is FlowJobState.BLOCKED
        assert job.fix
        assert not flow.is_in_solution
