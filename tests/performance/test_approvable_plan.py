"""How many calls it takes from an order to a plan that can be approved, and how long.

Ten thousand flows of which three hundred stay, each of those with a caller that holds its URL; at
the budgets that the app comes with, in moved time.
"""

from typing import Any

from tests.contract.tenant_world import BUTTON, definition
from tests.functional.wire.wire_seed import flow_seed
from tests.performance.large_environment import FLOWS, HELD_BACK, id_of
from tests.performance.many_flows import many_flows
from tests.performance.remediation_figures import moved_story

#: Of all services but for one of each app, of the flow service, and the time that its budget takes.
MOST_CALLS = 60
MOST_FLOW_SERVICE_CALLS = 15
LONGEST_MINUTES = 5


def large_tenant() -> dict[str, Any]:
    """Return a tenant of many flows, most of which move by themselves, and fifty apps."""
    description = many_flows(HELD_BACK, flows_per_app=HELD_BACK // 50)
    environment = description["environments"][0]
    environment["solutions"] = [{"uniquename": "Orders", "friendlyname": "Orders"}]
    for flow in environment["flows"]:
        flow["solutions"] = ["Orders"]
    environment["flows"] += [
        flow_seed(id_of(number), f"Moves {number}", definition(BUTTON))
        for number in range(FLOWS - HELD_BACK)
    ]
    return description


async def test_a_plan_of_ten_thousand_flows_can_be_approved_after_few_calls() -> None:
    """Definitions once; what belongs to a flow a hundred flows a call; ten looks at runs."""
    async with moved_story(large_tenant()) as moved:
        plan = await moved.plan()

        routes = moved.story.tenant.calls.routes
        job = await moved.story.environment_job()
        items = await moved.story.services.tables.plans.all(job.id)

    assert job.awaiting == len(items) == HELD_BACK
    assert {(item.co_owners, item.solutions) for item in items} == {(0, ("Orders",))}
    for_each_app = routes["resource_manager.list_application_settings"]
    assert plan.plan_calls["flow_service"] <= MOST_FLOW_SERVICE_CALLS, plan
    assert sum(plan.plan_calls.values()) - for_each_app <= MOST_CALLS, plan
    assert plan.minutes_to_plan <= LONGEST_MINUTES, plan
