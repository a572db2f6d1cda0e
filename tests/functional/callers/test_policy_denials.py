from dataclasses import replace

import pytest

from shared.domain.permissions import find_type_replaced_by_write, get_resource_type
from shared.domain.plans.unknowns import UNCHECKED_POLICIES
from shared.steps.planning.policy_denials import find_policy_denials
from tests.fakes.services import build_kinds
from tests.functional.callers.called_tenant import Tenant
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import plan_remediation
from tests.kinds.cases import MOVED_KINDS, load_caller_case

SITE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/shop"
ASSIGNMENT = "/subscriptions/s/providers/Microsoft.Authorization/policyAssignments/no-writes"


def build_scenario(kind: str, flows: int = 1) -> Scenario:
    """Return a scenario with this number of flows, which one resource of the kind calls."""
    scenario = Scenario()
    called = [scenario.build.add_http_flow(f"Orders {number}") for number in range(flows)]
    load_caller_case(kind).add(scenario.build, *called)
    return scenario


async def is_written_by_resource_manager(kind: str) -> bool:
    tenant = Tenant()
    load_caller_case(kind).add(tenant.builder, tenant.original)
    [caller] = await tenant.list_found_callers(kind)
    resource_type = get_resource_type(caller.address.partition("|")[0])
    needs = build_kinds(tenant.ports)[kind].required_permissions
    return caller.address.startswith("/") and bool(
        find_type_replaced_by_write(needs, resource_type)
    )


@pytest.mark.parametrize("kind", MOVED_KINDS)
async def test_plan_names_the_policy_that_denies_a_write(kind: str) -> None:
    scenario = build_scenario(kind)
    scenario.world.policy_assignments[ASSIGNMENT] = "*"

    await plan_remediation(scenario)

    [caller] = (await scenario.plan())["Orders 0"].callers
    is_written = await is_written_by_resource_manager(kind)
    assert (f"The policy {ASSIGNMENT} denies" in caller.manual_reason) is is_written
    assert bool(caller.manual_reason) is is_written
    assert len(scenario.world.policy_checks) == is_written


@pytest.mark.parametrize("kind", ["app_setting", "container_app"])
async def test_resource_of_several_flows_is_checked_once(kind: str) -> None:
    scenario = build_scenario(kind, flows=3)

    await plan_remediation(scenario)

    items = await scenario.plan()
    assert len(scenario.world.policy_checks) == 1
    assert [one.manual_reason for item in items.values() for one in item.callers] == [""] * 3
    assert not any(UNCHECKED_POLICIES.text in item.unknowns for item in items.values())


async def test_plan_says_that_policies_were_not_checked() -> None:
    scenario = build_scenario("logic_app")
    scenario.build.add_http_flow("Not called")
    scenario.world.are_policies_hidden = True

    await plan_remediation(scenario)

    items = await scenario.plan()
    assert UNCHECKED_POLICIES.text in items["Orders 0"].unknowns
    assert items["Orders 0"].callers[0].manual_reason == ""
    assert UNCHECKED_POLICIES.text not in items["Not called"].unknowns


async def test_approved_plan_with_a_denied_caller_starts_without_another_approval() -> None:
    scenario = build_scenario("logic_app")
    scenario.world.policy_assignments[ASSIGNMENT] = "*"
    await plan_remediation(scenario)

    await scenario.approve()

    assert (await scenario.plan())["Orders 0"].changed_since_approval == ()
    assert len(await scenario.read_jobs()) == 1


async def test_content_that_is_checked_has_no_signature() -> None:
    scenario, seen = build_scenario("logic_app"), list[str]()
    [flow] = scenario.world.list_flows()
    restrictions = scenario.fakes.ports.policy_restrictions
    find_denying_assignments = restrictions.find_denying_assignments

    async def record(resource_id: str, content: object, api_version: str) -> object:
        seen.append(str(content))
        return await find_denying_assignments(resource_id, content, api_version)  # type: ignore[arg-type]

    restrictions.find_denying_assignments = record  # type: ignore[method-assign, assignment]
    await plan_remediation(scenario)

    signature = scenario.build.get_trigger_url(flow).rpartition("sig=")[2]
    assert len(seen) == 1
    assert "westeurope" in seen[0]
    assert signature not in seen[0]


async def test_caller_of_an_unknown_kind_does_not_stop_the_plan() -> None:
    """A newer version of the app may have stored it."""
    scenario = build_scenario("logic_app")
    await plan_remediation(scenario)
    index = scenario.services.tables.caller_index
    [place] = await index.read_all()
    newer = replace(place, caller=replace(place.caller, kind="newer", address=f"{SITE}/newer"))
    [item] = (await scenario.plan()).values()

    denials = await find_policy_denials(
        scenario.services, [item], {item.trigger_url_id: [place, newer]}
    )

    assert set(denials) == {place.caller.address}
