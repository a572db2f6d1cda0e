"""Originals and copies that somebody turns on or off, or deletes, while the work is going on."""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes.flow_service import delete, turn_off, turn_on
from tests.fakes.invariants import pairs_on_together
from tests.functional.scenarios.remediation_scenario import Story, kill_after, planned


@pytest.mark.parametrize("reached", [FlowJobState.COPYING, FlowJobState.VERIFIED])
async def test_an_original_that_is_turned_on_meanwhile_is_not_cut_off(
    reached: FlowJobState,
) -> None:
    """Planned or copied as off, it is on: so is its copy, callers move, the quiet days count."""
    story = Story()
    form = story.build.off_flow("Form")
    story.build.app_setting_caller(form)
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Form", reached)
    turn_on(story.world, form, story.build.owner)
    story.world.traffic.beat(story.world)

    await story.run(timedelta(days=60))
    story.world.traffic.beat(story.world)

    job = await story.job("Form")
    assert (job.state, job.pattern) == (FlowJobState.RETIRED, MigrationMethod.UPDATE_CALLERS), (
        job.history
    )
    assert story.world.traffic.lost == []


async def test_an_original_that_goes_off_while_its_copy_comes_on_takes_the_copy_along() -> None:
    """The process died when it had turned the copy on; the next delivery turns it off again."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Orders", FlowJobState.COPYING)
    plan = kill_after(story, "WorkflowsTwin.update")
    await story.run(timedelta(0))
    job = await story.job("Orders")
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    assert plan.has_struck
    assert copy.is_on
    turn_off(story.world, orders)

    await story.run(timedelta(days=60))

    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)
    assert job.pattern is MigrationMethod.COPY_OFF
    assert not copy.is_on


async def test_a_self_starting_flow_that_is_turned_off_before_the_swap_stays_off() -> None:
    """Its owner wanted it off: the copy does not start by itself."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Keyword", FlowJobState.VERIFIED)
    turn_off(story.world, keyword)

    await story.run(timedelta(days=60))

    job = await story.job("Keyword")
    assert (job.state, job.pattern) == (FlowJobState.RETIRED, MigrationMethod.COPY_OFF), job.history
    assert not story.world.workflow(keyword.environment_id, job.copy_id).is_on
    assert pairs_on_together(story.world) == []


async def test_a_copy_that_is_deleted_before_it_is_proven_is_for_a_person() -> None:
    """The block says so, and a cancel still ends the job."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", FlowJobState.COPIED)
    story.world.workflow(orders.environment_id, job.copy_id).is_deleted = True

    await story.run(timedelta(days=1))
    blocked = await story.job("Orders")
    await story.roll_back()

    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "copy_changed")
    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_no_caller_is_pointed_at_a_copy_that_is_off_or_gone(*, is_deleted: bool) -> None:
    """It was proven, and is not what it was when its callers' turn comes: no call is lost."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", FlowJobState.UPDATING_CALLERS)
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    if is_deleted:
        delete(story.world, copy)
    else:
        turn_off(story.world, copy)

    await story.run(timedelta(days=2))

    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (
        FlowJobState.BLOCKED,
        "copy_changed" if is_deleted else "flow_state_not_changed",
    )
    assert story.world.traffic.lost == []

    if is_deleted:
        await story.roll_back()
    else:
        turn_on(story.world, copy, story.build.owner)
        await story.retry()
    end = FlowJobState.ROLLED_BACK if is_deleted else FlowJobState.RETIRED
    assert (await story.job("Orders")).state is end
    assert story.world.traffic.lost == []


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_an_original_is_not_stopped_while_its_copy_is_off_or_gone(
    *, is_deleted: bool
) -> None:
    """Callers hold the copy's URL: with the original on, a rollback brings them back."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    if is_deleted:
        delete(story.world, copy)
    else:
        turn_off(story.world, copy)

    await story.run(timedelta(days=60))

    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (
        FlowJobState.BLOCKED,
        "copy_changed" if is_deleted else "flow_state_not_changed",
    )
    assert (orders.is_on, orders.name) == (True, "Orders")

    if is_deleted:
        await story.roll_back()
        assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    else:
        turn_on(story.world, copy, story.build.owner)
        await story.retry()
        assert (await story.job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("was_stopped", [True, False])
async def test_a_self_starting_original_stays_on_whose_copy_is_deleted_before_the_swap(
    *, was_stopped: bool
) -> None:
    """Also where the process died when it had stopped the original: it comes back on."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Keyword", FlowJobState.CUTTING_OVER)
    if was_stopped:
        plan = kill_after(story, "WorkflowsTwin.update")
        await story.run(timedelta(0))
        assert plan.has_struck
    assert keyword.is_on is not was_stopped
    delete(story.world, story.world.workflow(keyword.environment_id, job.copy_id))

    await story.run(timedelta(days=1))

    job = await story.job("Keyword")
    assert job.state is FlowJobState.BLOCKED
    assert keyword.is_on
