import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.environments.migration import list_held_back_flows
from local_cloud.tenant.flows.recurrence import compute_first_due, compute_next_due

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BUTTON = {"type": "Request", "kind": "Button"}


def build_flow(name: str, trigger: dict[str, Any], *children: str, **more: Any) -> Flow:
    actions = {
        child: {"type": "Workflow", "inputs": {"host": {"workflowReferenceName": child}}}
        for child in children
    }
    definition = {"triggers": {"manual": trigger}, "actions": actions}
    return Flow(
        name=name,
        workflow_entity_id=name,
        display_name=name,
        client_data=json.dumps({"properties": {"definition": definition}}),
        owner="owner",
        created=NOW,
        modified=NOW,
        **more,
    )


def find_staying(*flows: Flow, assumptions: Assumptions | None = None) -> set[str]:
    environment = SimulatedEnvironment(id="e", display_name="e", created=NOW)
    for each in flows:
        environment.add_flow(each)
    return list_held_back_flows(environment, assumptions or Assumptions())


@pytest.mark.parametrize(
    ("trigger", "in_solution", "stays"),
    [
        ({"type": "Request", "kind": "Http"}, True, True),
        ({"type": "Request", "kind": "TeamsWebhook"}, True, True),
        ({"type": "Request", "kind": "PowerApp"}, False, True),
        ({"type": "Request", "kind": "PowerApp"}, True, False),
        ({"type": "Request", "kind": "PowerAppV2"}, False, False),
        ({"type": "Recurrence"}, False, False),
        (BUTTON, False, False),
    ],
)
def test_documented_categories_stay_on_microsofts_key(
    trigger: dict[str, Any], in_solution: bool, stays: bool
) -> None:
    one = build_flow("one", trigger, is_in_solution=in_solution)

    assert find_staying(one) == ({"one"} if stays else set())


def test_all_ancestors_of_a_flow_on_microsofts_key_stay() -> None:
    flows = (
        build_flow("child", {"type": "Request", "kind": "Http"}),
        build_flow("parent", BUTTON, "child"),
        build_flow("grandparent", BUTTON, "parent", "great"),
        build_flow("great", BUTTON, "grandparent"),
        build_flow("stranger", BUTTON),
    )

    assert find_staying(*flows) == {"child", "parent", "grandparent", "great"}


def test_flow_can_stay_on_microsofts_key_without_a_reason() -> None:
    """The platform sometimes keeps such flows."""
    assert find_staying(
        build_flow("odd", BUTTON, is_held_back=True), build_flow("plain", BUTTON)
    ) == {"odd"}


def test_assumption_holds_all_flows_on_microsofts_key() -> None:
    assumptions = Assumptions(hold_all_flows=True)

    assert find_staying(build_flow("a", BUTTON), assumptions=assumptions) == {"a"}


def test_a_new_recurrence_without_a_start_time_runs_at_once() -> None:
    """A recurrence that is turned off and on again waits for its next slot instead."""
    daily = build_flow("daily", {"type": "Recurrence", "recurrence": {"frequency": "Day"}})

    assert compute_first_due(daily, NOW, is_new=True) == NOW
    assert compute_first_due(daily, NOW, is_new=False) == NOW + timedelta(days=1)


def test_a_start_time_in_the_past_means_the_next_slot() -> None:
    """A flow does not make up for slots before it was turned on."""
    recurrence = {"frequency": "Hour", "interval": 6, "startTime": "2026-06-30T03:00:00Z"}
    six_hourly = build_flow("six", {"type": "Recurrence", "recurrence": recurrence})

    assert compute_first_due(six_hourly, NOW, is_new=True) == datetime(2026, 7, 1, 15, tzinfo=UTC)


def test_next_slot_of_a_recurrence_is_in_the_future() -> None:
    last = NOW - timedelta(days=3, hours=12)

    assert compute_next_due(last, NOW, timedelta(days=1)) == NOW + timedelta(hours=12)
