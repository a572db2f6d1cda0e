"""How many calls it takes from an order to a plan that can be approved, and how long.

Ten thousand flows of which three hundred stay, each of those with a caller that holds its URL; at
the budgets that the app comes with, in moved time.
"""

from typing import Any

from shared.domain.jobs.environment_states import EnvironmentJobState
from tests.functional.scenarios.remediation_scenario import approve_shown
from tests.functional.wire.wire_seed import build_flow_seed
from tests.local_cloud.tenant.tenant_world import BUTTON, definition
from tests.performance.large_environment import FLOWS, HELD_BACK, id_of
from tests.performance.many_flows import many_flows
from tests.performance.remediation_figures import by_service, moved_scenario

#: Of all services but for one of each app, of the flow service, and the time that its budget takes.
MOST_CALLS = 67
MOST_FLOW_SERVICE_CALLS = 15
LONGEST_MINUTES = 5
#: The same from the approval to the first flow job, where nothing has changed.
MOST_CALLS_TO_COMPARE = 20
MOST_FLOW_SERVICE_CALLS_TO_COMPARE = 2
#: One request for each app and kind of value.
FOR_EACH_APP = (
    "resource_manager.list_application_settings",
    "resource_manager.list_connection_strings",
)
MINUTE = 60


def large_tenant() -> dict[str, Any]:
    """Return a tenant of fifty apps and many flows, most of which the platform migrates."""
    description = many_flows(HELD_BACK, flows_per_app=HELD_BACK // 50)
    environment = description["environments"][0]
    environment["solutions"] = [{"uniquename": "Orders", "friendlyname": "Orders"}]
    for flow in environment["flows"]:
        flow["solutions"] = ["Orders"]
    environment["flows"] += [
        build_flow_seed(id_of(number), f"Moves {number}", definition(BUTTON))
        for number in range(FLOWS - HELD_BACK)
    ]
    return description


async def test_a_plan_of_ten_thousand_flows_is_approved_after_few_calls() -> None:
    """Definitions are read once, other facts for a hundred flows a request, runs ten times."""
    async with moved_scenario(large_tenant()) as moved:
        scenario, calls = moved.scenario, moved.scenario.tenant.calls
        plan = await moved.plan()
        for_each_app = sum(calls.routes[route] for route in FOR_EACH_APP)
        job = await scenario.environment_job()
        items = await scenario.services.tables.plan_items.all(job.id)
        calls.reset()
        await approve_shown(scenario.services, scenario.remediation.id)
        while (await scenario.environment_job()).state is not EnvironmentJobState.RUNNING_FLOW_JOBS:
            if not await scenario.deliver():
                scenario.tenant.clock.advance(MINUTE)  # until there are calls again
        comparing = by_service(calls.capabilities)

    assert job.awaiting_approval_count == len(items) == HELD_BACK
    assert {(item.co_owner_count, item.solutions) for item in items} == {(0, ("Orders",))}
    assert plan.plan_calls["flow_service"] <= MOST_FLOW_SERVICE_CALLS, plan
    assert sum(plan.plan_calls.values()) - for_each_app <= MOST_CALLS, plan
    assert plan.minutes_to_plan <= LONGEST_MINUTES, plan
    assert comparing["flow_service"] <= MOST_FLOW_SERVICE_CALLS_TO_COMPARE, comparing
    assert sum(comparing.values()) - for_each_app <= MOST_CALLS_TO_COMPARE, comparing
