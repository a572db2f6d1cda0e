"""A caller in another environment that is itself an original: it is never rewired, its copy is."""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.crash import Moment
from tests.fakes.invariants import stopped_too_early, watch
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import TwinFlow, TwinRun
from tests.functional.scenarios.remediation_scenario import kill_after
from tests.functional.scenarios.two_environments import TwoEnvironments

LONG = timedelta(days=90)
DAY = timedelta(days=1)


def ready() -> tuple[TwoEnvironments, TwinFlow, TwinFlow]:
    """Return a story with an original there that calls one here, watched."""
    story = TwoEnvironments()
    orders, shop = story.called_across()
    story.other.app_setting_caller(shop)
    story.prepare()
    story.world.traffic.beat(story.world)
    watch(story.world)
    return story, orders, shop


def assert_whole(story: TwoEnvironments) -> None:
    """Hold the tenant against the invariants, after one more call of every system."""
    story.world.traffic.beat(story.world)
    assert story.world.violations == []
    assert story.world.traffic.lost == []
    assert stopped_too_early(story.world, timedelta(days=7)) == []


async def assert_retired(story: TwoEnvironments) -> None:
    """Every job of both environments has come to its end."""
    jobs = await story.everywhere()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
        (job.display_name, job.state, job.reason) for job in jobs.values()
    ]


async def test_its_copy_calls_the_copy_and_the_original_stays_as_it_is() -> None:
    """One remediation of both: nothing is blocked as edited, and the caller retires first."""
    story, orders, shop = ready()
    before = shop.client_data
    await story.opt_in_both()

    await story.order_of(story.build, story.other)
    await story.run(LONG)

    await assert_retired(story)
    jobs = await story.everywhere()
    copy = story.world.workflow(shop.environment_id, jobs["Shop"].copy_id)
    new = story.world.workflow(orders.environment_id, jobs["Orders"].copy_id)
    assert shop.client_data == before
    assert story.url(new) in copy.client_data
    assert story.url(orders) not in copy.client_data
    assert jobs["Orders"].parents == (f"{shop.environment_id}/{jobs['Shop'].id}",)
    retired = {
        title: next(one.at for one in job.history if one.state == FlowJobState.RETIRED)
        for title, job in jobs.items()
    }
    assert retired["Shop"] <= retired["Orders"]
    assert_whole(story)


@pytest.mark.parametrize("is_first", [True, False])
async def test_two_remediations_of_one_environment_each_meet(is_first: bool) -> None:
    """Whichever environment begins: what comes later is written against what there is."""
    story, orders, shop = ready()
    before = shop.client_data
    await story.opt_in_both()
    first, then = (story.other, story.build) if is_first else (story.build, story.other)

    await story.order_of(first, cause="first")
    await story.order_of(then, cause="then")
    await story.run(LONG)

    await assert_retired(story)
    jobs = await story.everywhere()
    copy = story.world.workflow(shop.environment_id, jobs["Shop"].copy_id)
    assert story.url(orders) not in copy.client_data
    assert (shop.client_data == before) is is_first
    assert_whole(story)


async def test_a_caller_whose_plan_waits_for_approval_is_not_rewired_meanwhile() -> None:
    """It would not be what was planned; once approved, its copy calls the copy."""
    story, orders, shop = ready()
    before = shop.client_data
    await story.opt_in_both()
    row = EnvironmentSettings(environment_id=shop.environment_id, mode=ApprovalPolicy.REQUIRED)
    await story.services.tables.environment_settings.upsert(row)

    await story.order_of(story.build, story.other)
    await story.run(timedelta(days=3))
    waiting = (await story.everywhere())["Orders"]
    await story.approve(run=LONG)

    assert waiting.state is FlowJobState.WAITING
    assert "about to copy the flow Shop" in waiting.reason
    assert shop.client_data == before
    jobs = await story.everywhere()
    copy = story.world.workflow(shop.environment_id, jobs["Shop"].copy_id)
    await assert_retired(story)
    assert story.url(orders) not in copy.client_data
    assert_whole(story)


async def test_flows_that_call_one_another_across_environments_retire_and_come_back() -> None:
    """A circle through both: nobody waits for ever, forwards or back."""
    story, orders, shop = ready()
    story.let_call(orders, shop)
    before = take_snapshot(story.world)
    await story.opt_in_both()
    await story.order_of(story.build, story.other)
    await story.run(LONG)
    await assert_retired(story)

    await story.driver.call(lambda s: change_remediation.roll_back(s, story.remediation.id))
    await story.run(LONG)

    jobs = await story.everywhere()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.reason) for job in jobs.values()
    ]
    assert differences(before, story.world) == []
    # In a circle one of the originals goes while another, which nobody calls, still names it.
    story.world.traffic.beat(story.world)
    assert story.world.traffic.lost == []


@pytest.mark.parametrize("days", [0, 1, 5, 12, 40])
async def test_a_rollback_at_any_time_brings_both_back(days: int) -> None:
    """The caller's copy is put back with its original, byte for byte."""
    story, _, _ = ready()
    before = take_snapshot(story.world)
    await story.opt_in_both()
    await story.order_of(story.build, story.other)
    await story.run(timedelta(days=days))

    await story.driver.call(lambda s: change_remediation.roll_back(s, story.remediation.id))
    await story.run(LONG)

    jobs = await story.everywhere()
    assert {job.state for job in jobs.values()} <= {
        FlowJobState.ROLLED_BACK,
        FlowJobState.CANCELLED,
    }, [(job.display_name, job.state, job.reason) for job in jobs.values()]
    assert differences(before, story.world) == []
    assert_whole(story)


async def test_the_called_one_does_not_go_back_before_the_copy_that_calls_its_copy() -> None:
    """Rolled back alone, it says whose copy calls it; with the caller gone back it goes on."""
    story, _, _ = ready()
    await story.opt_in_both()
    await story.order_of(story.build, cause="here")
    here = story.remediation.id
    await story.order_of(story.other, cause="there")
    there = story.remediation.id
    await story.run(LONG)
    await assert_retired(story)

    await story.driver.call(lambda s: change_remediation.roll_back(s, here))
    await story.run(timedelta(days=30))
    blocked = (await story.everywhere())["Orders"]
    await story.driver.call(lambda s: change_remediation.roll_back(s, there))
    await story.run(LONG)
    await story.driver.call(lambda s: change_remediation.retry(s, here))
    await story.run(LONG)

    assert blocked.state in {FlowJobState.BLOCKED, FlowJobState.WAITING}
    assert "Shop" in f"{blocked.reason} {blocked.instruction}"
    jobs = await story.everywhere()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.reason) for job in jobs.values()
    ]
    assert_whole(story)


@pytest.mark.parametrize(
    ("first", "code"), [("Shop", "parent_flow_not_ready"), ("Orders", "child_flow_not_ready")]
)
async def test_a_rollback_that_the_other_environment_blocks_waits_for_an_order(
    first: str, code: str
) -> None:
    """By the copy of a retired caller, or by the called original that is stopped.

    It is blocked once, not again every minute; the other's rollback lets it go on.
    """
    story, orders, _ = ready()
    before = take_snapshot(story.world)
    await story.opt_in_both()
    builders = {"Orders": story.build, "Shop": story.other}
    [last] = builders.keys() - {first}
    await story.order_of(builders[first], cause="first")
    earlier = story.remediation.id
    await story.order_of(builders[last], cause="last")
    await story.run(LONG)
    await assert_retired(story)

    await story.roll_back(
        run=timedelta(hours=1) if code == "child_flow_not_ready" else timedelta(days=15)
    )
    blocked = (await story.everywhere())[last]
    await story.run(timedelta(days=1))
    later = (await story.everywhere())[last]
    await story.driver.call(lambda s: change_remediation.roll_back(s, earlier))
    await story.run(LONG)

    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, code)
    assert later.message_number == blocked.message_number
    assert {job.state for job in (await story.everywhere()).values()} == {FlowJobState.ROLLED_BACK}
    assert orders.is_on
    assert differences(before, story.world) == []
    assert_whole(story)


async def test_a_copy_stays_on_for_the_copy_of_a_caller_that_was_copied_later() -> None:
    """It was pointed at the copy before its own plan was made, and its copy is still running."""
    story, orders, shop = ready()
    before = take_snapshot(story.world)
    await story.opt_in_both()
    await story.order_of(story.build, cause="here")
    here = story.remediation.id
    await story.order_of(story.other, cause="there")
    jobs = await story.everywhere()
    new = story.world.workflow(orders.environment_id, jobs["Orders"].copy_id)
    running = story.world.workflow(shop.environment_id, jobs["Shop"].copy_id)
    now, long = story.world.clock.now(), timedelta(days=20)
    running.runs.append(TwinRun(run_id="long", started=now, ends=now + long))

    await story.roll_back(run=timedelta(minutes=1))
    await story.driver.call(lambda s: change_remediation.roll_back(s, here))
    await story.run(long - timedelta(hours=1))
    was_on = new.is_on
    await story.run(LONG)

    assert was_on
    assert {job.state for job in (await story.everywhere()).values()} == {FlowJobState.ROLLED_BACK}
    assert differences(before, story.world) == []
    assert_whole(story)


async def test_a_loan_that_was_only_noted_is_not_made_once_its_environment_is_read_only() -> None:
    """Who noted it died before the call, and an administrator has decided otherwise since."""
    story, orders, _ = ready()
    here, settings = story.build.environment.id, story.services.tables.environment_settings
    await settings.upsert(EnvironmentSettings(environment_id=here, mode=ApprovalPolicy.AUTOMATIC))
    await story.order_of(story.build, cause="first", run=DAY)
    await story.opt_in_both()
    plan = kill_after(story, "FlowAccessTwin.grant")
    plan.moment = Moment.BEFORE
    await story.order_of(story.other, cause="then", run=timedelta(0))
    while not plan.has_struck:
        await story.run(timedelta(seconds=30))
    await settings.upsert(EnvironmentSettings(environment_id=here, mode=ApprovalPolicy.READ_ONLY))
    before = len(story.world.writes)

    await story.run(DAY)

    job = (await story.everywhere())["Shop"]
    assert (job.state, job.code) == (FlowJobState.BLOCKED, "environment_read_only")
    assert [one for one in story.world.writes[before:] if one.environment_id == here] == []
    await story.opt_in_both()
    await change_remediation.retry(story.services, story.remediation.id)
    await story.run(DAY)
    assert (await story.everywhere())["Shop"].is_verified
    assert story.world.operator.entra_id not in orders.co_owners
