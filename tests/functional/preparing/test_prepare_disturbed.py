from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import ServiceUnavailable
from shared.use_cases import change_remediation
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.definitions import parse_facts
from tests.fakes.invariants import find_signatures_in_store, find_writes_without_opt_in
from tests.functional.preparing.prepare_scenario import (
    PREPARE,
    add_input_flow,
    list_solution_requests,
)
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario, edit

HOUR = timedelta(hours=1)


async def test_edit_after_the_plan_blocks_the_job_until_a_retry() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)
    await scenario.approve_and_run_until("Admin", FlowJobState.PREPARING)
    edit(admin)

    await scenario.run(HOUR)
    blocked = await scenario.read_job("Admin")
    await scenario.retry(run=HOUR)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "original_edited")
    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED
    assert "Extra" in admin.client_data
    assert "ListFlowsInEnvironment_V2" in admin.client_data


async def test_prepared_flow_is_planned_again_after_its_conversion_is_reverted() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    before = admin.client_data
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)
    await scenario.approve(run=HOUR)
    admin.client_data = before

    await scenario.order(PREPARE, admin.workflow_id, cause="again")
    item = (await scenario.plan())["Admin"]
    await scenario.approve(run=HOUR)

    assert item.action is PlannedAction.EDIT_ACTION
    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED
    assert "ListFlowsInEnvironment_V2" in admin.client_data


async def test_job_waits_until_the_platform_has_added_the_flows() -> None:
    scenario = Scenario()
    flows = [scenario.build.add_power_apps_v1_flow(name) for name in ("A", "B")]
    await scenario.opt_in()
    await scenario.order(PREPARE)
    await scenario.approve(run=timedelta(0))

    async def forget() -> None:
        for flow in flows:
            flow.in_solution = False

    disturb(scenario, "flow_placement", "add_to_solution", forget, after=True)
    await scenario.run(timedelta(minutes=20))
    states = {job.state for job in (await scenario.read_jobs()).values()}
    flows[0].in_solution = flows[1].in_solution = True
    await scenario.run(timedelta(minutes=20))

    assert states == {FlowJobState.WAITING}
    assert len(list_solution_requests(scenario)) == 1
    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.PREPARED}


async def test_deleted_flow_does_not_block_the_other_flows_of_its_request() -> None:
    scenario = Scenario()
    flows = {name: scenario.build.add_power_apps_v1_flow(name) for name in ("A", "B", "C")}
    await scenario.opt_in()
    await scenario.order(PREPARE)
    await scenario.approve(run=timedelta(0))

    async def delete() -> None:
        flows["B"].is_deleted = True

    disturb(scenario, "flow_placement", "add_to_solution", delete)
    await scenario.run(timedelta(minutes=20))

    ends = {
        name: (job.state, job.reason_code) for name, job in (await scenario.read_jobs()).items()
    }
    assert ends["A"][0] == ends["C"][0] == FlowJobState.PREPARED
    assert ends["B"] == (FlowJobState.BLOCKED, "original_deleted")
    assert [len(names.split(",")) for names in list_solution_requests(scenario)] == [2]


async def test_flow_that_the_platform_does_not_add_is_blocked_after_an_hour() -> None:
    scenario = Scenario()
    app = scenario.build.add_power_apps_v1_flow("App")
    await scenario.opt_in()
    await scenario.order(PREPARE)
    await scenario.approve(run=timedelta(0))

    async def forget() -> None:
        app.in_solution = False

    disturb(scenario, "flow_placement", "add_to_solution", forget, after=True)
    await scenario.run(2 * HOUR)
    blocked = await scenario.read_job("App")
    await scenario.retry(run=HOUR)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "not_added_to_solution")
    assert (await scenario.read_job("App")).state is FlowJobState.PREPARED
    assert len(list_solution_requests(scenario)) == 2


async def test_duplicate_and_unordered_messages_repeat_no_write() -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    named = [add_input_flow(scenario, f"App {number}") for number in range(30)]
    await scenario.opt_in()
    scenario.driver.unsettled = 0.4

    await scenario.order(PREPARE, *(flow.workflow_id for flow in named))
    await scenario.run(2 * HOUR)

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.PREPARED}
    assert len(list_solution_requests(scenario)) == 2
    assert Counter(write.what for write in scenario.world.writes)["update workflow"] == 30


@pytest.mark.parametrize("failure", [Killed, lambda: ServiceUnavailable("busy")])
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("undo", [False, True])
async def test_prepare_completes_after_a_kill_or_failure_at_any_request(
    failure: Callable[[], BaseException], moment: Moment, undo: bool
) -> None:
    whole = await _run_under_plan(Plan(), undo=undo)
    assert whole.driver.plan.calls > 30

    for at in range(1, whole.driver.plan.calls + 1, 2 if failure is Killed else 1):
        scenario = await _run_under_plan(Plan(at=at, moment=moment, failure=failure), undo=undo)

        jobs = await scenario.read_jobs()
        expected = FlowJobState.ROLLED_BACK if undo else FlowJobState.PREPARED
        assert {job.state for job in jobs.values()} == {expected}, (at, jobs)
        kinds = {parse_facts(flow.client_data).trigger_kind for flow in scenario.world.list_flows()}
        assert kinds == {"PowerApp" if undo else "PowerAppV2"}, at
        edits = [write for write in scenario.world.writes if write.what == "update workflow"]
        assert len(edits) == (4 if undo else 2), at
        assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
        assert find_writes_without_opt_in(scenario.world, {scenario.build.environment.id}) == []


async def _run_under_plan(plan: Plan, *, undo: bool) -> Scenario:
    """Convert two flows, or roll them back if `undo` is set, with the faults of this fault plan."""
    scenario = Scenario()
    flows = [add_input_flow(scenario, name) for name in ("A", "B")]
    await scenario.opt_in()
    await scenario.order(PREPARE, *(flow.workflow_id for flow in flows))
    if undo:
        await scenario.approve(run=HOUR)
        scenario.driver.plan = plan
        scenario.renew()
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
    else:
        await scenario.approve(run=timedelta(0))
        scenario.driver.plan = plan
        scenario.renew()
    await scenario.run(2 * HOUR)
    return scenario
