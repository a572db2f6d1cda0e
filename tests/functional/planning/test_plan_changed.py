from datetime import timedelta

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import JobBlocked
from shared.use_cases.change_remediation import cancel
from shared.use_cases.show_remediation import show_remediation
from tests.fakes import definition_builder as define
from tests.fakes.crash import Moment, Plan
from tests.fakes.flow_service import turn_off
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    approve_shown,
    edit,
    plan_remediation,
)

HOUR = timedelta(hours=1)
NOW = timedelta(0)


async def test_edited_flow_and_its_parents_need_a_second_approval() -> None:
    scenario = Scenario()
    child, _, _ = scenario.build.add_family("Billing")
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    edit(child)

    await scenario.run(HOUR)
    held, job, plan = (
        await scenario.read_jobs(),
        await scenario.read_environment_job(),
        await scenario.plan(),
    )
    progress = (await show_remediation(scenario.services, scenario.remediation.id)).progress
    await scenario.approve()

    assert set(held) == {"Orders"}
    assert (job.state, job.awaiting_approval_count) == (EnvironmentJobState.RUNNING_FLOW_JOBS, 3)
    assert progress.state == "awaiting_approval"
    assert plan["Billing child"].changed_since_approval == ("its definition was edited",)
    assert plan["Billing parent"].changed_since_approval == (
        "it runs Billing child, which has changed",
    )
    assert plan["Billing grandparent"].changed_since_approval == (
        "it runs Billing parent, which has changed",
    )
    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, jobs
    assert len(jobs) == 4
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED


async def test_second_approval_does_not_start_jobs_in_progress_again() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    invoices = scenario.build.add_http_flow("Invoices")
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    edit(invoices)
    await scenario.run(HOUR)
    before = await scenario.read_job("Orders")

    await scenario.approve(run=HOUR)

    after = await scenario.read_job("Orders")
    assert before.step is after.step is FlowJobState.CHECKING_FOR_CALLS
    assert [line.state for line in after.history].count("planned") == 1
    assert (await scenario.read_job("Invoices")).step is FlowJobState.CHECKING_FOR_CALLS


async def test_flow_with_a_new_caller_needs_a_second_approval() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_external_system("shop", scenario.build.get_trigger_url(orders))
    scenario.world.traffic.beat(scenario.world)  # a run shows which URL to look for
    await plan_remediation(scenario)
    site = scenario.build.add_app_setting_caller(orders)
    old = site.settings["FLOW_URL"]

    await scenario.approve(run=HOUR)
    held, value = await scenario.plan(), site.settings["FLOW_URL"]
    await scenario.approve(run=timedelta(days=2))

    assert any(
        "a new caller: setting" in change for change in held["Orders"].changed_since_approval
    )
    assert any("orders-api" in write for write in held["Orders"].planned_changes)
    assert value == old
    assert site.settings["FLOW_URL"] != old


async def test_flow_with_fewer_callers_needs_no_second_approval() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    scenario.world.traffic.beat(scenario.world)
    await plan_remediation(scenario)
    scenario.world.traffic.systems.clear()
    site.settings.clear()

    await scenario.approve()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_caller_that_awaits_approval_is_not_changed() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    url = scenario.build.get_trigger_url(orders)
    shop = scenario.build.add_flow(
        "Shop", define.build_http_trigger(), {"Order": define.build_http_action(url)}
    )
    scenario.world.traffic.beat(scenario.world)
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    edit(shop)

    await scenario.run(timedelta(days=2))
    waiting, held, text = await scenario.read_job("Orders"), await scenario.plan(), shop.client_data
    await scenario.approve()

    assert "is about to copy" in waiting.message
    assert held["Shop"].changed_since_approval == ("its definition was edited",)
    assert url in text
    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, jobs
    assert set(jobs) == {"Orders", "Shop"}


@pytest.mark.parametrize("is_renamed", [True, False])
async def test_renamed_flow_or_flow_turned_off_needs_a_second_approval(*, is_renamed: bool) -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    if is_renamed:
        orders.name = "Orders of 2027"
    else:
        turn_off(scenario.world, orders)

    await scenario.approve(run=HOUR)

    (item,) = (await scenario.plan()).values()
    assert item.changed_since_approval[-1] == (
        "it was named Orders" if is_renamed else "it was turned off"
    )
    assert await scenario.read_jobs() == {}


async def test_deleted_flow_needs_no_change() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Invoices")
    await plan_remediation(scenario)
    orders.is_deleted = True

    await scenario.approve()

    item = (await scenario.plan())["Orders"]
    assert (item.action, item.message.split(":")[0]) == (
        PlannedAction.NO_CHANGE,
        "It no longer stays on Microsoft's key",
    )
    assert set(await scenario.read_jobs()) == {"Invoices"}
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED


async def test_new_flow_is_not_added_to_an_approved_plan() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.start_remediation(max_flows=1)
    for name in ("A", "B", "C"):
        scenario.build.add_http_flow(name)

    await scenario.approve(run=HOUR)

    assert set(await scenario.read_jobs()) == {"Orders"}
    assert set(await scenario.plan()) == {"Orders"}


async def test_plan_with_only_changed_flows_awaits_approval_again() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.run(timedelta(days=6))
    edit(orders)

    await scenario.approve(run=HOUR)
    job = await scenario.read_environment_job()
    await scenario.run(timedelta(days=8))

    assert (job.state, job.awaiting_approval_count) == (EnvironmentJobState.AWAITING_APPROVAL, 1)
    assert job.approval_expires_at is not None
    assert job.approval_expires_at > scenario.world.clock.now() - timedelta(days=2)
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.CANCELLED


async def test_changed_flow_is_not_migrated_after_its_approval_expired() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Invoices")
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    edit(orders)

    await scenario.run(timedelta(days=60))

    item = (await scenario.plan())["Orders"]
    assert item.action is PlannedAction.NO_CHANGE
    assert "nobody approved the change in time" in item.message
    assert set(await scenario.read_jobs()) == {"Invoices"}
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED


async def test_cancel_includes_flows_that_await_a_second_approval() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Invoices")
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    edit(orders)
    await scenario.run(HOUR)

    await cancel(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(days=30))

    assert {job.state for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    progress = (await show_remediation(scenario.services, scenario.remediation.id)).progress
    assert progress.state == "cancelled"
    with pytest.raises(JobBlocked) as refusal:
        await approve_shown(scenario.services, scenario.remediation.id)
    assert refusal.value.code == "nothing_to_approve"


# --- killed at any call ---------------------------------------------------------------------------


async def _approve_with_faults(at: int | None, moment: Moment) -> tuple[Scenario, Plan]:
    """Approve a plan, edit a child flow, and let the app continue with a fault at request `at`."""
    scenario = Scenario()
    child = scenario.build.add_parent(
        "Child", trigger={"type": "Request", "kind": "Http", "inputs": {}}
    )
    scenario.build.add_parent(
        "Parent", child, trigger={"type": "Request", "kind": "Http", "inputs": {}}
    )
    scenario.build.add_http_flow("Orders")
    other = scenario.build.add_http_flow("Left")
    await plan_remediation(scenario)
    await scenario.approve(other.workflow_id, run=NOW)
    edit(child)
    scenario.driver.plan = Plan(at=at, moment=moment)
    scenario.renew()
    await scenario.run_until("Orders", FlowJobState.COPYING)
    return scenario, scenario.driver.plan


@pytest.mark.parametrize("moment", Moment)
async def test_same_flows_await_approval_after_a_kill_at_any_request(moment: Moment) -> None:
    _, plan = await _approve_with_faults(None, moment)
    for at in range(1, plan.calls + 1):
        scenario, _ = await _approve_with_faults(at, moment)
        await scenario.run(HOUR)

        items, job = await scenario.plan(), await scenario.read_environment_job()
        changed = {title for title, item in items.items() if item.changed_since_approval}
        assert changed == {"Child", "Parent"}, (at, items)
        assert items["Left"].action is PlannedAction.NO_CHANGE
        assert set(await scenario.read_jobs()) == {"Orders"}, at
        assert (job.state, job.awaiting_approval_count) == (
            EnvironmentJobState.RUNNING_FLOW_JOBS,
            2,
        ), at
