"""Test how often the app reads runs to find the flow of a trigger URL. Each read takes a request of
the flow service's small budget.
"""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import RemediationMode
from shared.steps.planning.trigger_urls import MOST_LOOKS
from tests.fakes.crash import Plan
from tests.fakes.driver import Driver
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

LOOK = "FakeFlowReports.read_runs"
MANY = MOST_LOOKS + 3
DARK = "Who calls it by its trigger URL"


def build_recorded_scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=Plan(trace=[]))
    return scenario


def count_run_reads(scenario: Scenario) -> int:
    """Return the number of flows whose runs were read since the last call."""
    trace = scenario.driver.plan.trace
    assert trace is not None
    count = trace.count(LOOK)
    trace.clear()
    return count


def add_called_flows(scenario: Scenario, count: int) -> None:
    for number in range(count):
        scenario.build.add_app_setting_caller(
            scenario.build.add_http_flow(f"Flow {number}"), setting=f"F{number}"
        )
    scenario.world.traffic.beat(scenario.world)


def list_flows_with_callers(plan: dict[str, PlanItem]) -> set[str]:
    return {title for title, item in plan.items() if item.callers}


async def test_no_runs_are_read_if_no_caller_has_a_trigger_url() -> None:
    scenario = build_recorded_scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_external_system("shop", scenario.build.get_trigger_url(orders))
    scenario.world.traffic.beat(scenario.world)

    await plan_remediation(scenario)

    item = (await scenario.plan())["Orders"]
    assert (count_run_reads(scenario), item.is_complete, item.was_run_checked) == (0, True, False)
    assert not any(DARK in one for one in item.unknowns)


async def test_run_reads_end_when_each_trigger_url_has_a_flow() -> None:
    scenario = build_recorded_scenario()
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.world.traffic.beat(scenario.world)
    for number in range(5):
        scenario.build.add_http_flow(f"Silent {number}")

    await plan_remediation(scenario)

    plan = await scenario.plan()
    assert list_flows_with_callers(plan) == {"Orders"}
    assert count_run_reads(scenario) == sum(item.was_run_checked for item in plan.values())
    assert not any(DARK in one for item in plan.values() for one in item.unknowns)
    assert (await scenario.read_environment_job()).findings == ()


async def test_plan_reads_the_runs_of_at_most_ten_flows() -> None:
    scenario = build_recorded_scenario()
    add_called_flows(scenario, MANY)

    await plan_remediation(scenario)
    plan, job, count = (
        await scenario.plan(),
        await scenario.read_environment_job(),
        count_run_reads(scenario),
    )
    await scenario.approve()

    dark = {title for title, item in plan.items() if any(DARK in one for one in item.unknowns)}
    assert count == len(list_flows_with_callers(plan)) == MOST_LOOKS
    assert dark == plan.keys() - list_flows_with_callers(plan)
    [finding] = job.findings
    assert all(f"F{title.partition(' ')[2]}" in finding for title in dark)
    assert {one.state for one in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    assert scenario.world.traffic.lost_calls == []


async def test_plan_after_a_dry_run_reads_no_runs() -> None:
    scenario = build_recorded_scenario()
    add_called_flows(scenario, MANY)
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.opt_in()

    await scenario.order(RemediationMode.DRY_RUN)
    dry, count = await scenario.plan(), count_run_reads(scenario)
    await scenario.order(cause="order-2")

    assert (len(list_flows_with_callers(dry)), count) == (MANY, MANY)
    assert list_flows_with_callers(await scenario.plan()) == dry.keys()
    assert count_run_reads(scenario) == 0


@pytest.mark.parametrize("is_new", [True, False])
async def test_only_new_trigger_urls_are_matched_after_an_approval(is_new: bool) -> None:
    scenario = build_recorded_scenario()
    flows = [scenario.build.add_http_flow(f"Flow {number}") for number in range(MANY)]
    last = max(flows, key=lambda flow: flow.workflow_id)
    scenario.build.add_external_system("shop", scenario.build.get_trigger_url(last))
    scenario.world.traffic.beat(scenario.world)
    if not is_new:
        scenario.build.add_app_setting_caller(last)
    await plan_remediation(scenario)
    if is_new:
        scenario.build.add_app_setting_caller(last)

    await scenario.approve(run=timedelta(hours=1))

    plan = await scenario.plan()
    looked = sum(item.was_run_checked for item in plan.values())
    assert looked == (MANY if is_new else MOST_LOOKS)
    assert {title for title, item in plan.items() if item.changed_since_approval} == (
        {last.name} if is_new else set()
    )


async def test_preparation_names_no_callers_of_flows_that_it_does_not_change() -> None:
    """Preparation gives no flow a new URL."""
    scenario = build_recorded_scenario()
    for number in range(MANY):
        flow = scenario.build.add_http_flow(f"Flow {number}")
        scenario.build.add_app_setting_caller(flow)
    await scenario.opt_in()

    await scenario.order(RemediationMode.PREPARE)

    assert len(await scenario.plan()) == MANY
    assert (await scenario.read_environment_job()).findings == ()
