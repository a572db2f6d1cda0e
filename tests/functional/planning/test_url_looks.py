"""Which flow a trigger URL leads to is looked up in runs, no more often than a plan needs it.

Each look is a call of the flow service's small budget.
"""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import RemediationMode
from shared.steps.planning.trigger_urls import MOST_LOOKS
from tests.fakes.crash import Plan
from tests.fakes.driver import Driver
from tests.functional.scenarios.remediation_scenario import Scenario, planned

LOOK = "FakeFlowReports.read_runs"
MANY = MOST_LOOKS + 3
DARK = "Who calls it by its trigger URL"


def watched() -> Scenario:
    """Return a scenario that records its requests."""
    scenario = Scenario()
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=Plan(trace=[]))
    return scenario


def looks(scenario: Scenario) -> int:
    """Return the number of flows whose runs were read, and reset it."""
    trace = scenario.driver.plan.trace
    assert trace is not None
    count = trace.count(LOOK)
    trace.clear()
    return count


def called(scenario: Scenario, count: int) -> None:
    """Add flows with a calling app setting, and let each be called."""
    for number in range(count):
        scenario.build.app_setting_caller(
            scenario.build.http_flow(f"Flow {number}"), setting=f"F{number}"
        )
    scenario.world.traffic.beat(scenario.world)


def shown(plan: dict[str, PlanItem]) -> set[str]:
    """Return the titles of the flows whose callers the plan shows."""
    return {title for title, item in plan.items() if item.callers}


async def test_no_flow_is_looked_at_where_no_caller_holds_a_url() -> None:
    """If no caller holds a trigger URL, the app reads no runs."""
    scenario = watched()
    orders = scenario.build.http_flow("Orders")
    scenario.build.system("shop", scenario.build.url_of(orders))
    scenario.world.traffic.beat(scenario.world)

    await planned(scenario)

    item = (await scenario.plan())["Orders"]
    assert (looks(scenario), item.is_complete, item.was_run_checked) == (0, True, False)
    assert not any(DARK in one for one in item.unknowns)


async def test_looks_end_when_each_url_has_its_flow() -> None:
    """The app stops reading runs when each trigger URL has a flow."""
    scenario = watched()
    scenario.build.app_setting_caller(scenario.build.http_flow("Orders"))
    scenario.world.traffic.beat(scenario.world)
    for number in range(5):
        scenario.build.http_flow(f"Silent {number}")

    await planned(scenario)

    plan = await scenario.plan()
    assert shown(plan) == {"Orders"}
    assert looks(scenario) == sum(item.was_run_checked for item in plan.values())
    assert not any(DARK in one for item in plan.values() for one in item.unknowns)
    assert (await scenario.environment_job()).findings == ()


async def test_a_plan_to_approve_looks_at_ten_flows_and_names_the_callers_of_the_others() -> None:
    """A plan reads the runs of ten flows. The other callers are updated, too."""
    scenario = watched()
    called(scenario, MANY)

    await planned(scenario)
    plan, job, count = await scenario.plan(), await scenario.environment_job(), looks(scenario)
    await scenario.approve()

    dark = {title for title, item in plan.items() if any(DARK in one for one in item.unknowns)}
    assert count == len(shown(plan)) == MOST_LOOKS
    assert dark == plan.keys() - shown(plan)
    [finding] = job.findings
    assert all(f"F{title.partition(' ')[2]}" in finding for title in dark)
    assert {one.state for one in (await scenario.jobs()).values()} == {FlowJobState.RETIRED}
    assert scenario.world.traffic.lost == []


async def test_a_dry_run_looks_at_all_and_spares_the_plan_after_it_every_look() -> None:
    """A dry run reads the runs of all flows, and the next plan reads none."""
    scenario = watched()
    called(scenario, MANY)
    scenario.build.link()
    scenario.build.share_connections()
    await scenario.opt_in()

    await scenario.order(RemediationMode.DRY_RUN)
    dry, count = await scenario.plan(), looks(scenario)
    await scenario.order(cause="order-2")

    assert (len(shown(dry)), count) == (MANY, MANY)
    assert shown(await scenario.plan()) == dry.keys()
    assert looks(scenario) == 0


@pytest.mark.parametrize("is_new", [True, False])
async def test_only_a_url_that_no_approval_has_seen_is_looked_up_after_it(is_new: bool) -> None:
    """After an approval, the app reads runs only for a trigger URL that the approval lacks."""
    scenario = watched()
    flows = [scenario.build.http_flow(f"Flow {number}") for number in range(MANY)]
    last = max(flows, key=lambda flow: flow.workflow_id)
    scenario.build.system("shop", scenario.build.url_of(last))
    scenario.world.traffic.beat(scenario.world)
    if not is_new:
        scenario.build.app_setting_caller(last)
    await planned(scenario)
    if is_new:
        scenario.build.app_setting_caller(last)

    await scenario.approve(run=timedelta(hours=1))

    plan = await scenario.plan()
    looked = sum(item.was_run_checked for item in plan.values())
    assert looked == (MANY if is_new else MOST_LOOKS)
    assert {title for title, item in plan.items() if item.changed_since_approval} == (
        {last.name} if is_new else set()
    )
