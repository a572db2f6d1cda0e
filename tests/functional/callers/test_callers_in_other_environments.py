from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.crash import Moment
from tests.fakes.invariants import find_flows_stopped_too_early, watch
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import kill_after
from tests.functional.scenarios.two_environments import TwoEnvironments

LONG = timedelta(days=90)
DAY = timedelta(days=1)


def build_two_environments() -> tuple[TwoEnvironments, FakeFlow, FakeFlow]:
    """Return two environments and their originals `Orders` and `Shop`. `Shop` calls `Orders`."""
    scenario = TwoEnvironments()
    orders, shop = scenario.add_call_across()
    scenario.other.add_app_setting_caller(shop)
    scenario.prepare()
    scenario.world.traffic.beat(scenario.world)
    watch(scenario.world)
    return scenario, orders, shop


def assert_no_call_is_lost(scenario: TwoEnvironments) -> None:
    """Let each caller call once more, and check the calls and all invariants."""
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.violations == []
    assert scenario.world.traffic.lost_calls == []
    assert find_flows_stopped_too_early(scenario.world, timedelta(days=7)) == []


async def assert_retired(scenario: TwoEnvironments) -> None:
    jobs = await scenario.read_all_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]


async def test_only_the_copy_of_a_caller_is_changed() -> None:
    scenario, orders, shop = build_two_environments()
    before = shop.client_data
    await scenario.opt_in_both()

    await scenario.start_remediation_of(scenario.build, scenario.other)
    await scenario.run(LONG)

    await assert_retired(scenario)
    jobs = await scenario.read_all_jobs()
    copy = scenario.world.get_workflow(shop.environment_id, jobs["Shop"].copy.id)
    new = scenario.world.get_workflow(orders.environment_id, jobs["Orders"].copy.id)
    assert shop.client_data == before
    assert scenario.get_trigger_url(new) in copy.client_data
    assert scenario.get_trigger_url(orders) not in copy.client_data
    assert jobs["Orders"].parents == (f"{shop.environment_id}/{jobs['Shop'].id}",)
    retired = {
        title: next(one.changed_at for one in job.history if one.state == FlowJobState.RETIRED)
        for title, job in jobs.items()
    }
    assert retired["Shop"] <= retired["Orders"]
    assert_no_call_is_lost(scenario)


@pytest.mark.parametrize("is_first", [True, False])
async def test_separate_remediations_of_two_environments_retire_both_flows(is_first: bool) -> None:
    scenario, orders, shop = build_two_environments()
    before = shop.client_data
    await scenario.opt_in_both()
    first, then = (scenario.other, scenario.build) if is_first else (scenario.build, scenario.other)

    await scenario.start_remediation_of(first, cause="first")
    await scenario.start_remediation_of(then, cause="then")
    await scenario.run(LONG)

    await assert_retired(scenario)
    jobs = await scenario.read_all_jobs()
    copy = scenario.world.get_workflow(shop.environment_id, jobs["Shop"].copy.id)
    assert scenario.get_trigger_url(orders) not in copy.client_data
    assert (shop.client_data == before) is is_first
    assert_no_call_is_lost(scenario)


async def test_caller_is_not_changed_while_its_plan_awaits_approval() -> None:
    scenario, orders, shop = build_two_environments()
    before = shop.client_data
    await scenario.opt_in_both()
    await scenario.set_approval_policy(ApprovalPolicy.REQUIRED, shop.environment_id)

    await scenario.start_remediation_of(scenario.build, scenario.other)
    await scenario.run(timedelta(days=3))
    waiting = (await scenario.read_all_jobs())["Orders"]
    await scenario.approve(run=LONG)

    assert waiting.state is FlowJobState.WAITING
    assert "about to copy the flow Shop" in waiting.message
    assert shop.client_data == before
    jobs = await scenario.read_all_jobs()
    copy = scenario.world.get_workflow(shop.environment_id, jobs["Shop"].copy.id)
    await assert_retired(scenario)
    assert scenario.get_trigger_url(orders) not in copy.client_data
    assert_no_call_is_lost(scenario)


async def test_call_loop_across_environments_is_retired_and_rolled_back() -> None:
    scenario, orders, shop = build_two_environments()
    scenario.add_call(orders, shop)
    before = take_snapshot(scenario.world)
    await scenario.opt_in_both()
    await scenario.start_remediation_of(scenario.build, scenario.other)
    await scenario.run(LONG)
    await assert_retired(scenario)

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(LONG)

    jobs = await scenario.read_all_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]
    assert find_differences(before, scenario.world) == []
    # In a circle one of the originals goes while another, which nobody calls, still names it.
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []


@pytest.mark.parametrize("days", [0, 1, 5, 12, 40])
async def test_rollback_on_any_day_restores_both_environments(days: int) -> None:
    scenario, _, _ = build_two_environments()
    before = take_snapshot(scenario.world)
    await scenario.opt_in_both()
    await scenario.start_remediation_of(scenario.build, scenario.other)
    await scenario.run(timedelta(days=days))

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(LONG)

    jobs = await scenario.read_all_jobs()
    assert {job.state for job in jobs.values()} <= {
        FlowJobState.ROLLED_BACK,
        FlowJobState.CANCELLED,
    }, [(job.display_name, job.state, job.message) for job in jobs.values()]
    assert find_differences(before, scenario.world) == []
    assert_no_call_is_lost(scenario)


async def test_called_flow_is_not_rolled_back_before_its_caller() -> None:
    scenario, _, _ = build_two_environments()
    await scenario.opt_in_both()
    await scenario.start_remediation_of(scenario.build, cause="here")
    here = scenario.remediation.id
    await scenario.start_remediation_of(scenario.other, cause="there")
    there = scenario.remediation.id
    await scenario.run(LONG)
    await assert_retired(scenario)

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, here))
    await scenario.run(timedelta(days=30))
    blocked = (await scenario.read_all_jobs())["Orders"]
    await scenario.driver.call(lambda s: change_remediation.roll_back(s, there))
    await scenario.run(LONG)
    await scenario.driver.call(lambda s: change_remediation.retry(s, here))
    await scenario.run(LONG)

    assert blocked.state in {FlowJobState.BLOCKED, FlowJobState.WAITING}
    assert "Shop" in f"{blocked.message} {blocked.fix}"
    jobs = await scenario.read_all_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]
    assert_no_call_is_lost(scenario)


@pytest.mark.parametrize(
    ("first", "code"), [("Shop", "parent_flow_not_ready"), ("Orders", "child_flow_not_ready")]
)
async def test_rollback_continues_after_the_other_environment_is_rolled_back(
    first: str, code: str
) -> None:
    scenario, orders, _ = build_two_environments()
    before = take_snapshot(scenario.world)
    await scenario.opt_in_both()
    builders = {"Orders": scenario.build, "Shop": scenario.other}
    [last] = builders.keys() - {first}
    await scenario.start_remediation_of(builders[first], cause="first")
    earlier = scenario.remediation.id
    await scenario.start_remediation_of(builders[last], cause="last")
    await scenario.run(LONG)
    await assert_retired(scenario)

    await scenario.roll_back(
        run=timedelta(hours=1) if code == "child_flow_not_ready" else timedelta(days=15)
    )
    blocked = (await scenario.read_all_jobs())[last]
    await scenario.run(timedelta(days=1))
    later = (await scenario.read_all_jobs())[last]
    await scenario.driver.call(lambda s: change_remediation.roll_back(s, earlier))
    await scenario.run(LONG)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, code)
    assert later.message_number == blocked.message_number
    assert {job.state for job in (await scenario.read_all_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    assert orders.is_on
    assert find_differences(before, scenario.world) == []
    assert_no_call_is_lost(scenario)


async def test_copy_stays_on_while_a_run_of_its_callers_copy_continues() -> None:
    scenario, orders, shop = build_two_environments()
    before = take_snapshot(scenario.world)
    await scenario.opt_in_both()
    await scenario.start_remediation_of(scenario.build, cause="here")
    here = scenario.remediation.id
    await scenario.start_remediation_of(scenario.other, cause="there")
    jobs = await scenario.read_all_jobs()
    new = scenario.world.get_workflow(orders.environment_id, jobs["Orders"].copy.id)
    running = scenario.world.get_workflow(shop.environment_id, jobs["Shop"].copy.id)
    now, long = scenario.world.clock.now(), timedelta(days=20)
    running.runs.append(FakeRun(run_id="long", started=now, ends=now + long))

    await scenario.roll_back(run=timedelta(minutes=1))
    await scenario.driver.call(lambda s: change_remediation.roll_back(s, here))
    await scenario.run(long - timedelta(hours=1))
    was_on = new.is_on
    await scenario.run(LONG)

    assert was_on
    assert {job.state for job in (await scenario.read_all_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    assert find_differences(before, scenario.world) == []
    assert_no_call_is_lost(scenario)


async def test_recorded_grant_is_not_made_in_a_read_only_environment() -> None:
    scenario, orders, _ = build_two_environments()
    here, settings = scenario.build.environment.id, scenario.services.tables.environment_settings
    await settings.upsert(
        EnvironmentSettings(environment_id=here, approval_policy=ApprovalPolicy.AUTOMATIC)
    )
    await scenario.start_remediation_of(scenario.build, cause="first", run=DAY)
    await scenario.opt_in_both()
    plan = kill_after(scenario, "FakeFlowAccess.grant")
    plan.moment = Moment.BEFORE
    await scenario.start_remediation_of(scenario.other, cause="then", run=timedelta(0))
    while not plan.has_struck:
        await scenario.run(timedelta(seconds=30))
    await settings.upsert(
        EnvironmentSettings(environment_id=here, approval_policy=ApprovalPolicy.READ_ONLY)
    )
    before = len(scenario.world.writes)

    await scenario.run(DAY)

    job = (await scenario.read_all_jobs())["Shop"]
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "environment_read_only")
    assert [one for one in scenario.world.writes[before:] if one.environment_id == here] == []
    await scenario.opt_in_both()
    await change_remediation.retry(scenario.services, scenario.remediation.id)
    await scenario.run(DAY)
    assert (await scenario.read_all_jobs())["Shop"].is_verified
    assert scenario.world.operator.entra_id not in orders.co_owners
