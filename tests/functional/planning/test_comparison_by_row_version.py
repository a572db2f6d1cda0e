"""Test that after an approval the app compares row versions and reads only what has changed."""

from datetime import timedelta

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import RemediationMode
from shared.use_cases.change_remediation import cancel
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.crash import Plan
from tests.fakes.driver import Driver
from tests.fakes.flow_pages import SIZE
from tests.functional.scenarios.remediation_scenario import Scenario, edit, plan_remediation

HOUR = timedelta(hours=1)
FLOWS = 3 * SIZE
WHOLE, AGAIN = "FakeFlowPages.read_workflows", "FakeFlowPages.read_workflows_by_id"


async def build_waiting_scenario(flows: int = FLOWS) -> Scenario:
    scenario = Scenario()
    for number in range(flows):
        scenario.build.add_http_flow(f"Flow {number}")
    await plan_remediation(scenario)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=Plan(trace=[]))
    return scenario


def count_reads(scenario: Scenario) -> tuple[int, int]:
    """Return how many pages of definitions the app has read, and how many times it read flows by
    id.
    """
    trace = scenario.driver.plan.trace
    assert trace is not None
    return trace.count(WHOLE), trace.count(AGAIN)


async def test_unchanged_definitions_are_not_read_again() -> None:
    scenario = await build_waiting_scenario()
    scenario.world.clock.advance(timedelta(days=3))
    await run_daily_check(scenario.services, "day-3")

    await scenario.approve(run=timedelta(minutes=5))

    assert count_reads(scenario) == (0, 0)
    assert len(await scenario.read_jobs()) == FLOWS
    assert await scenario.services.tables.discovery_pages.read_all() == []


async def test_changed_flows_are_read_in_one_request() -> None:
    scenario = await build_waiting_scenario()
    flows = {flow.name: flow for flow in scenario.build.environment.list_live_flows()}
    edit(flows["Flow 0"])
    flows["Flow 1"].is_deleted = True
    scenario.build.add_parent("Parent", flows["Flow 2"])

    await scenario.approve(run=HOUR)

    plan = await scenario.plan()
    assert count_reads(scenario) == (0, 1)
    assert plan["Flow 0"].changed_since_approval == ("its definition was edited",)
    assert any("a new caller" in change for change in plan["Flow 2"].changed_since_approval)
    assert set(await scenario.read_jobs()) == {f"Flow {number}" for number in range(3, FLOWS)}
    assert "no longer stays" in plan["Flow 1"].message


async def test_second_approval_is_compared_with_the_data_of_the_first() -> None:
    scenario = await build_waiting_scenario()
    flows = {flow.name: flow for flow in scenario.build.environment.list_live_flows()}
    edit(flows["Flow 0"])
    edit(flows["Flow 1"])
    await scenario.approve(run=HOUR)
    edit(flows["Flow 1"], {"type": "Compose", "inputs": 2})

    await scenario.approve(run=HOUR)

    plan = await scenario.plan()
    assert count_reads(scenario)[0] == 0
    assert not plan["Flow 0"].changed_since_approval
    assert plan["Flow 1"].changed_since_approval == ("its definition was edited",)
    assert (await scenario.read_job("Flow 0")).state is not FlowJobState.PLANNED


async def test_flow_that_the_platform_migrated_is_not_copied() -> None:
    scenario = await build_waiting_scenario()
    moved, *_ = scenario.build.environment.list_live_flows()
    moved.is_protected = True

    await scenario.approve(run=HOUR)

    assert moved.name not in await scenario.read_jobs()
    assert count_reads(scenario)[0] == 0


async def test_daily_check_deletes_pages_of_a_cancelled_plan() -> None:
    scenario = await build_waiting_scenario()
    table, job = scenario.services.tables.discovery_pages, await scenario.read_environment_job()
    kept = await table.read_all(job.id)
    await scenario.driver.call(lambda s: cancel(s, scenario.remediation.id))
    scenario.world.clock.advance(timedelta(hours=25))

    await run_daily_check(scenario.services, "day-2")

    assert len(kept) > 0
    assert await table.read_all(job.id) == []


async def test_dry_run_stores_no_pages() -> None:
    """A dry run is never approved, so nothing needs its pages."""
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()

    await scenario.order(RemediationMode.DRY_RUN)

    assert await scenario.services.tables.discovery_pages.read_all() == []
