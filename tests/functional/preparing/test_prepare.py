from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import JobBlocked
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.preparing.prepare_scenario import (
    PREPARE,
    list_microsoft_key_flows,
    list_solution_requests,
)
from tests.functional.scenarios.remediation_scenario import Scenario

HOUR = timedelta(hours=1)


async def test_prepare_plans_only_changes_that_are_possible_before_the_key() -> None:
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("App")
    scenario.build.add_http_flow("Orders")
    scenario.build.add_keyword_flow("Keyword")
    scenario.build.add_admin_list_flow("Admin")
    await scenario.opt_in()

    await scenario.order(PREPARE)

    plan = await scenario.plan()
    assert {name: item.action for name, item in plan.items()} == {
        "App": PlannedAction.ADD_TO_SOLUTION,
        "Orders": PlannedAction.NO_CHANGE,
        "Keyword": PlannedAction.NO_CHANGE,
        "Admin": PlannedAction.NEEDS_CHANGES,
    }
    assert "after the key is applied" in plan["Orders"].message
    assert f"--flow {plan['Admin'].workflow_id}" in plan["Admin"].fix
    assert "cannot revert" in plan["App"].planned_changes[0]
    assert "ListFlowsInEnvironment_V2" in plan["Admin"].conversion_preview
    assert "PowerAppV2" in plan["App"].conversion_preview


async def test_approved_flow_is_added_to_a_solution() -> None:
    scenario = Scenario()
    app = scenario.build.add_power_apps_v1_flow("App")
    before = take_snapshot(scenario.world)
    await scenario.opt_in()
    await scenario.order(PREPARE)

    await scenario.approve(run=HOUR)

    job = await scenario.read_job("App")
    assert job.state is FlowJobState.PREPARED, job.history
    assert app.in_solution
    assert find_differences(before, scenario.world) == []
    assert await list_microsoft_key_flows(scenario) == set()
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED


async def test_flows_are_added_in_requests_of_twenty() -> None:
    scenario = Scenario()
    flows = [scenario.build.add_power_apps_v1_flow(f"App {number}") for number in range(45)]
    await scenario.opt_in()
    await scenario.order(PREPARE)

    await scenario.approve(run=HOUR)

    assert all(flow.in_solution for flow in flows)
    assert sorted(len(names.split(",")) for names in list_solution_requests(scenario)) == [
        5,
        20,
        20,
    ]
    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.PREPARED}


async def test_prepare_of_a_linked_environment_is_blocked() -> None:
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("App")
    scenario.build.apply_key()
    await scenario.opt_in()

    await scenario.order(PREPARE)

    job = await scenario.read_environment_job()
    assert job.state is EnvironmentJobState.BLOCKED
    assert "mode apply" in job.fix


async def test_prepare_of_a_read_only_environment_is_rejected() -> None:
    scenario = Scenario(mode=ApprovalPolicy.READ_ONLY)
    scenario.build.add_power_apps_v1_flow("App")
    await scenario.opt_in()

    with pytest.raises(JobBlocked) as refused:
        await scenario.order(PREPARE)

    assert refused.value.code == "environment_read_only"
    assert scenario.world.writes == []


async def test_no_flow_is_added_after_a_key_is_applied() -> None:
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("App")
    await scenario.opt_in()
    await scenario.order(PREPARE)
    scenario.build.apply_key()

    await scenario.approve(run=HOUR)

    assert list_solution_requests(scenario) == []


async def test_parent_needs_no_change_if_its_child_is_prepared() -> None:
    scenario = Scenario()
    child = scenario.build.add_power_apps_v1_flow("Child")
    scenario.build.add_parent("Parent", child)
    await scenario.opt_in()
    await scenario.order(PREPARE)
    plan = await scenario.plan()

    await scenario.approve(run=HOUR)

    assert plan["Parent"].action is PlannedAction.NO_CHANGE
    assert await list_microsoft_key_flows(scenario) == set()


async def test_prepare_respects_managed_flows_exclusions_and_the_flow_limit() -> None:
    scenario = Scenario()
    managed = scenario.build.add_admin_list_flow("Managed")
    managed.is_managed = True
    excluded = scenario.build.add_power_apps_v1_flow("Excluded")
    for number in range(3):
        scenario.build.add_power_apps_v1_flow(f"App {number}")
    await scenario.opt_in(excluded_flows=frozenset({excluded.workflow_id}), max_flows=2)

    await scenario.order(PREPARE)

    actions = {name: item.action for name, item in (await scenario.plan()).items()}
    assert actions["Managed"] is PlannedAction.NEEDS_CHANGES
    assert actions["Excluded"] is PlannedAction.NO_CHANGE
    assert list(actions.values()).count(PlannedAction.ADD_TO_SOLUTION) == 2
