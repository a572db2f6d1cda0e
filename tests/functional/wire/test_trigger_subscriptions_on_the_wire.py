"""Test flows with a Dataverse trigger. See platform.md#trigger-subscriptions."""

from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.flows.lifecycle import turn_off, turn_on
from local_cloud.tenant.flows.self_starting import play_event
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import CHILD, ORDERS, build_flow_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import MAKER, build_definition

ADDED = {"operationId": "SubscribeWebhookTrigger"}
CONNECTOR = "shared_commondataserviceforapps"


def build_row_flow(flow_id: str, title: str, *, name: str, **more: Any) -> dict[str, Any]:
    """Return the seed of a flow that starts when a row is added.

    `name` is that of its subscription.
    """
    trigger = {
        "type": "OpenApiConnectionWebhook",
        "inputs": {
            "host": {"operationId": "SubscribeWebhookTrigger", "connectionName": CONNECTOR},
            "parameters": {"subscriptionRequest/message": 1, "subscriptionRequest/name": name},
        },
    }
    return build_flow_seed(flow_id, title, build_definition(trigger), heldBack=True, **more)


def add_row(scenario: WireScenario) -> list[str]:
    """Add a Dataverse row, and return the titles of the flows that it starts."""
    started = play_event(scenario.tenant, scenario.environment, ADDED)
    return sorted(scenario.environment.flows[name].display_name for name in started)


async def test_flows_with_one_subscription_name_share_one_subscription(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant_seed(
        build_row_flow(ORDERS, "A", name=ORDERS), build_row_flow(CHILD, "B", name=ORDERS)
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        assert add_row(scenario) == ["B"]
        turn_off(scenario.tenant, scenario.environment, scenario.find_flow(ORDERS))
        assert add_row(scenario) == []


async def test_copy_has_its_own_subscription(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant_seed(build_row_flow(ORDERS, "Take orders", name=ORDERS.upper()))
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.read_job()
        assert job.state is FlowJobState.RETIRED, job.message
        copy = scenario.find_flow(job.copy.id)
        assert copy.get_facts().subscription == job.copy.id
        assert add_row(scenario) == ["Take orders"]
        turn_on(scenario.tenant, scenario.environment, scenario.find_flow(), MAKER)
        assert add_row(scenario) == ["Take orders", "Take orders (retired, MMK)"]
        turn_off(scenario.tenant, scenario.environment, scenario.find_flow())
        assert add_row(scenario) == ["Take orders"]


async def test_copy_keeps_the_name_of_a_custom_action(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such a name is that of an action in Dataverse, and not the id of the flow."""
    seed = build_tenant_seed(build_row_flow(ORDERS, "Take orders", name="pmo_UploadDocument"))
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.read_job()
        assert job.state is FlowJobState.RETIRED, job.message
        assert '"pmo_UploadDocument"' in scenario.find_flow(job.copy.id).client_data
