"""A trigger of Dataverse that names its registration by the flow's own id.

See platform.md#trigger-subscriptions.
"""

from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.flows.lifecycle import turn_off, turn_on
from local_cloud.tenant.flows.self_starting import emit
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.wire.wire_scenario import WireScenario, wire_scenario
from tests.functional.wire.wire_seed import CHILD, ORDERS, flow_seed, tenant_seed
from tests.local_cloud.tenant.tenant_world import MAKER, definition

ADDED = {"operationId": "SubscribeWebhookTrigger"}
CONNECTOR = "shared_commondataserviceforapps"


def on_row(flow_id: str, title: str, *, name: str, **more: Any) -> dict[str, Any]:
    """Return a flow that starts when a row is added, and that the platform holds back."""
    trigger = {
        "type": "OpenApiConnectionWebhook",
        "inputs": {
            "host": {"operationId": "SubscribeWebhookTrigger", "connectionName": CONNECTOR},
            "parameters": {"subscriptionRequest/message": 1, "subscriptionRequest/name": name},
        },
    }
    return flow_seed(flow_id, title, definition(trigger), heldBack=True, **more)


def told(scenario: WireScenario) -> list[str]:
    """Add a row, and return the titles of the flows that start."""
    started = emit(scenario.tenant, scenario.environment, ADDED)
    return sorted(scenario.environment.flows[name].display_name for name in started)


async def test_two_registrations_of_one_name_are_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the tenant assumes: who came on last is told, and who goes off takes it away."""
    seed = tenant_seed(on_row(ORDERS, "A", name=ORDERS), on_row(CHILD, "B", name=ORDERS))
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        assert told(scenario) == ["B"]
        turn_off(scenario.tenant, scenario.environment, scenario.flow(ORDERS))
        assert told(scenario) == []


async def test_a_copy_has_a_registration_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With both on, both are told; when the original goes off, the copy still is."""
    seed = tenant_seed(on_row(ORDERS, "Take orders", name=ORDERS.upper()))
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.job()
        assert job.state is FlowJobState.RETIRED, job.message
        copy = scenario.flow(job.copy_id)
        assert copy.facts().subscription == job.copy_id
        assert told(scenario) == ["Take orders"]
        turn_on(scenario.tenant, scenario.environment, scenario.flow(), MAKER)
        assert told(scenario) == ["Take orders", "Take orders (retired, MMK)"]
        turn_off(scenario.tenant, scenario.environment, scenario.flow())
        assert told(scenario) == ["Take orders"]


async def test_the_name_of_a_custom_action_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says what is subscribed to."""
    seed = tenant_seed(on_row(ORDERS, "Take orders", name="pmo_UploadDocument"))
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.job()
        assert job.state is FlowJobState.RETIRED, job.message
        assert '"pmo_UploadDocument"' in scenario.flow(job.copy_id).client_data
