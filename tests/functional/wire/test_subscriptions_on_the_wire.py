"""A trigger of Dataverse that names its registration by the flow's own id.

See platform.md#trigger-subscriptions.
"""

from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.flows.lifecycle import turn_off, turn_on
from local_cloud.tenant.flows.self_starting import emit
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.wire.wire_seed import CHILD, ORDERS, flow_seed, tenant_seed
from tests.functional.wire.wire_story import WireStory, wire_story
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


def told(story: WireStory) -> list[str]:
    """Let a row be added, and return the titles of the flows that start."""
    started = emit(story.tenant, story.environment, ADDED)
    return sorted(story.environment.flows[name].display_name for name in started)


async def test_two_registrations_of_one_name_are_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the tenant assumes: who came on last is told, and who goes off takes it away."""
    seed = tenant_seed(on_row(ORDERS, "A", name=ORDERS), on_row(CHILD, "B", name=ORDERS))
    async with wire_story(monkeypatch, tmp_path, seed) as story:
        assert told(story) == ["B"]
        turn_off(story.tenant, story.environment, story.flow(ORDERS))
        assert told(story) == []


async def test_a_copy_has_a_registration_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With both on, both are told; when the original goes off, the copy still is."""
    seed = tenant_seed(on_row(ORDERS, "Take orders", name=ORDERS.upper()))
    async with wire_story(monkeypatch, tmp_path, seed) as story:
        await story.order()

        job = await story.job()
        assert job.state is FlowJobState.RETIRED, job.reason
        copy = story.flow(job.copy_id)
        assert copy.facts().subscription == job.copy_id
        assert told(story) == ["Take orders"]
        turn_on(story.tenant, story.environment, story.flow(), MAKER)
        assert told(story) == ["Take orders", "Take orders (retired, MMK)"]
        turn_off(story.tenant, story.environment, story.flow())
        assert told(story) == ["Take orders"]


async def test_the_name_of_a_custom_action_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says what is subscribed to."""
    seed = tenant_seed(on_row(ORDERS, "Take orders", name="pmo_UploadDocument"))
    async with wire_story(monkeypatch, tmp_path, seed) as story:
        await story.order()

        job = await story.job()
        assert job.state is FlowJobState.RETIRED, job.reason
        assert '"pmo_UploadDocument"' in story.flow(job.copy_id).client_data
