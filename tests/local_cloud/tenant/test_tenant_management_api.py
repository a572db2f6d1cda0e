from typing import Any

import pytest

from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    MAKER,
    PARENT_FLOW,
    TenantWorld,
)

API = "https://api.powerplatform.com"
FLOWS = f"{API}/powerautomate/environments/{ENVIRONMENT}"


async def list_all(world: TenantWorld, url: str, **query: str) -> list[dict[str, Any]]:
    return await world.read_all_pages(url, audience=API, query=query)


async def test_environment_contains_the_status_of_its_policy(world: TenantWorld) -> None:
    """The names of the members differ from those of BAP."""
    url = f"{API}/environmentmanagement/environments/{ENVIRONMENT}"
    before = await world.call("GET", url, audience=API)
    await world.control("PUT", "/assumptions", {"link_seconds": 0})
    await world.link()

    after = await world.call("GET", url, audience=API)

    assert "enterprisePolicies" not in before.body
    assert after.body["enterprisePolicies"]["encryption"]["status"] == "Linked"
    assert after.body["protectionLevel"] == "Standard"


async def test_only_flows_with_a_row_are_listed(world: TenantWorld) -> None:
    everything = await list_all(world, f"{FLOWS}/cloudFlows")
    [one] = await list_all(world, f"{FLOWS}/cloudFlows", workflowId=HTTP_FLOW.upper())
    await world.control("PUT", "/assumptions", {"my_flows_have_rows": False})
    with_row = await list_all(world, f"{FLOWS}/cloudFlows")

    assert (one["name"], one["stateCode"]) == ("Receive order", "Published")
    assert len(everything) == 6
    assert BUTTON_FLOW not in {each["workflowId"] for each in with_row}


async def test_list_of_actions_distinguishes_triggers_and_actions(world: TenantWorld) -> None:
    actions = await list_all(world, f"{FLOWS}/flowActions", workflowId=PARENT_FLOW)
    triggers = await list_all(world, f"{FLOWS}/flowActions", isTrigger="true")

    told = [(each["stageName"], each["operationType"], each["isTrigger"]) for each in actions]
    assert told == [("manual", "Request", True), ("Child", "Workflow", False)]
    assert len(triggers) == 6


async def test_runs_of_one_flow_are_listed(world: TenantWorld) -> None:
    await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))

    [run] = await list_all(world, f"{FLOWS}/flowRuns", workflowId=HTTP_FLOW)
    none = await list_all(world, f"{FLOWS}/flowRuns", workflowId=PARENT_FLOW)
    unnamed = await world.call("GET", f"{FLOWS}/flowRuns", audience=API)

    assert (run["status"], run["triggerType"]) == ("Succeeded", "Request")
    assert none == []
    assert unnamed.status == 400


@pytest.mark.parametrize(
    ("who", "audience", "status"),
    [(MAKER, API, 403), (None, API, 401), (MAKER, "https://service.flow.microsoft.com/", 401)],
)
async def test_management_api_requires_an_administrator_and_its_own_token(
    world: TenantWorld, who: str | None, audience: str, status: int
) -> None:
    answer = await world.call("GET", f"{FLOWS}/cloudFlows", who=who, audience=audience)

    assert answer.status == status
