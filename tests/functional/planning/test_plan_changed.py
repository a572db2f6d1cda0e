"""What changes between a plan's approval and its dispatch waits for another approval."""

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
from tests.functional.scenarios.remediation_scenario import Story, approve_shown, edit, planned

HOUR = timedelta(hours=1)
NOW = timedelta(0)


async def test_an_edit_after_the_approval_holds_that_flow_and_its_parents_only() -> None:
    """The rest is dispatched; the edit is approved with the plan's next version, and goes on."""
    story = Story()
    child, _, _ = story.build.family("Billing")
    story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=NOW)
    edit(child)

    await story.run(HOUR)
    held, job, plan = await story.jobs(), await story.environment_job(), await story.plan()
    progress = (await show_remediation(story.services, story.remediation.id)).progress
    await story.approve()

    assert set(held) == {"Orders"}
    assert (job.state, job.awaiting) == (EnvironmentJobState.RUNNING_FLOW_JOBS, 3)
    assert progress.state == "awaiting_approval"
    assert plan["Billing child"].changed == ("its definition was edited",)
    assert plan["Billing parent"].changed == ("it runs Billing child, which has changed",)
    assert plan["Billing grandparent"].changed == ("it runs Billing parent, which has changed",)
    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, jobs
    assert len(jobs) == 4
    assert (await story.environment_job()).state is EnvironmentJobState.COMPLETED


async def test_jobs_under_way_are_not_begun_again_by_a_second_approval() -> None:
    """The flow that went on meanwhile has one history, and is planned once."""
    story = Story()
    story.build.http_flow("Orders")
    invoices = story.build.http_flow("Invoices")
    await planned(story)
    await story.approve(run=NOW)
    edit(invoices)
    await story.run(HOUR)
    before = await story.job("Orders")

    await story.approve(run=HOUR)

    after = await story.job("Orders")
    assert before.reached is after.reached is FlowJobState.CHECKING_FOR_CALLS
    assert [line.state for line in after.history].count("planned") == 1
    assert (await story.job("Invoices")).reached is FlowJobState.CHECKING_FOR_CALLS


async def test_a_new_caller_after_the_approval_holds_the_flow() -> None:
    """An app holds the URL since yesterday: its setting is a write that nobody has approved."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.system("shop", story.build.url_of(orders))
    story.world.traffic.beat(story.world)  # a run shows which URL to look for
    await planned(story)
    site = story.build.app_setting_caller(orders)
    old = site.settings["FLOW_URL"]

    await story.approve(run=HOUR)
    held, value = await story.plan(), site.settings["FLOW_URL"]
    await story.approve(run=timedelta(days=2))

    assert any("a new caller: setting" in change for change in held["Orders"].changed)
    assert any("orders-api" in write for write in held["Orders"].writes)
    assert value == old
    assert site.settings["FLOW_URL"] != old


async def test_a_caller_that_is_gone_holds_nothing() -> None:
    """Less than what was approved is done."""
    story = Story()
    orders = story.build.http_flow("Orders")
    site = story.build.app_setting_caller(orders)
    story.world.traffic.beat(story.world)
    await planned(story)
    story.world.traffic.systems.clear()
    site.settings.clear()

    await story.approve()

    assert (await story.job("Orders")).state is FlowJobState.RETIRED


async def test_a_flow_that_waits_for_an_approval_is_not_changed_as_a_caller() -> None:
    """It would be another flow than the one that is shown: the flow it calls waits for it."""
    story = Story()
    orders = story.build.http_flow("Orders")
    url = story.build.url_of(orders)
    shop = story.build.flow("Shop", define.http_trigger(), {"Order": define.http_action(url)})
    story.world.traffic.beat(story.world)
    await planned(story)
    await story.approve(run=NOW)
    edit(shop)

    await story.run(timedelta(days=2))
    waiting, held, text = await story.job("Orders"), await story.plan(), shop.client_data
    await story.approve()

    assert "is about to copy" in waiting.reason
    assert held["Shop"].changed == ("its definition was edited",)
    assert url in text
    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, jobs
    assert set(jobs) == {"Orders", "Shop"}


@pytest.mark.parametrize("is_renamed", [True, False])
async def test_a_flow_that_is_renamed_or_turned_off_waits_for_an_approval(
    *, is_renamed: bool
) -> None:
    """The plan said what is called how, and which flow is turned on and off."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    if is_renamed:
        orders.name = "Orders of 2027"
    else:
        turn_off(story.world, orders)

    await story.approve(run=HOUR)

    (item,) = (await story.plan()).values()
    assert item.changed[-1] == ("it was called Orders" if is_renamed else "it was turned off")
    assert await story.jobs() == {}


async def test_a_flow_that_is_gone_is_left_and_says_so() -> None:
    """Nothing waits for it: the other flow comes to its end, and with it the remediation."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.http_flow("Invoices")
    await planned(story)
    orders.is_deleted = True

    await story.approve()

    item = (await story.plan())["Orders"]
    assert (item.action, item.explanation.split(":")[0]) == (PlannedAction.NO_CHANGE, "It is gone")
    assert set(await story.jobs()) == {"Invoices"}
    assert (await story.environment_job()).state is EnvironmentJobState.COMPLETED


async def test_a_flow_that_is_new_is_not_added() -> None:
    """It belongs to the next remediation; neither does it push an approved one over the limit."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    story.build.share_connections()
    await story.opt_in(limit=1)
    await story.order()
    for name in ("A", "B", "C"):
        story.build.http_flow(name)

    await story.approve(run=HOUR)

    assert set(await story.jobs()) == {"Orders"}
    assert set(await story.plan()) == {"Orders"}


async def test_a_plan_of_which_all_has_changed_waits_as_a_whole() -> None:
    """Nothing is under way: the job waits for approval again, for as long as a plan can."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.run(timedelta(days=6))
    edit(orders)

    await story.approve(run=HOUR)
    job = await story.environment_job()
    await story.run(timedelta(days=8))

    assert (job.state, job.awaiting) == (EnvironmentJobState.AWAITING_APPROVAL, 1)
    assert job.expires is not None
    assert job.expires > story.world.clock.now() - timedelta(days=2)
    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED


async def test_a_change_that_nobody_approves_in_time_is_left() -> None:
    """The remediation ends with the jobs that went on."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.http_flow("Invoices")
    await planned(story)
    await story.approve(run=NOW)
    edit(orders)

    await story.run(timedelta(days=60))

    item = (await story.plan())["Orders"]
    assert item.action is PlannedAction.NO_CHANGE
    assert "nobody approved the change in time" in item.explanation
    assert set(await story.jobs()) == {"Invoices"}
    assert (await story.environment_job()).state is EnvironmentJobState.COMPLETED


async def test_a_cancel_ends_what_waits_for_another_approval_too() -> None:
    """What is under way is rolled back, what waits is not begun, and nothing can be approved."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.http_flow("Invoices")
    await planned(story)
    await story.approve(run=NOW)
    edit(orders)
    await story.run(HOUR)

    await cancel(story.services, story.remediation.id)
    await story.run(timedelta(days=30))

    assert {job.state for job in (await story.jobs()).values()} == {FlowJobState.ROLLED_BACK}
    progress = (await show_remediation(story.services, story.remediation.id)).progress
    assert progress.state == "cancelled"
    with pytest.raises(JobBlocked) as refusal:
        await approve_shown(story.services, story.remediation.id)
    assert refusal.value.code == "nothing_to_approve"


# --- killed at any call ---------------------------------------------------------------------------


async def _interrupted(at: int | None, moment: Moment) -> tuple[Story, Plan]:
    """Approve, edit a child, let the app compare and dispatch under a plan that may strike."""
    story = Story()
    child = story.build.parent("Child", trigger={"type": "Request", "kind": "Http", "inputs": {}})
    story.build.parent("Parent", child, trigger={"type": "Request", "kind": "Http", "inputs": {}})
    story.build.http_flow("Orders")
    other = story.build.http_flow("Left")
    await planned(story)
    await story.approve(other.workflow_id, run=NOW)
    edit(child)
    story.driver.plan = Plan(at=at, moment=moment)
    story.renew()
    await story.until("Orders", FlowJobState.COPYING)
    return story, story.driver.plan


@pytest.mark.parametrize("moment", Moment)
async def test_killed_at_any_call_the_same_flows_are_held_and_dispatched(moment: Moment) -> None:
    """Whatever call the process dies at between approval and dispatch, the end is the same."""
    _, plan = await _interrupted(None, moment)
    for at in range(1, plan.calls + 1):
        story, _ = await _interrupted(at, moment)
        await story.run(HOUR)

        items, job = await story.plan(), await story.environment_job()
        changed = {title for title, item in items.items() if item.changed}
        assert changed == {"Child", "Parent"}, (at, items)
        assert items["Left"].action is PlannedAction.NO_CHANGE
        assert set(await story.jobs()) == {"Orders"}, at
        assert (job.state, job.awaiting) == (EnvironmentJobState.RUNNING_FLOW_JOBS, 2), at
