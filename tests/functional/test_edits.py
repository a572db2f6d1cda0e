"""Originals and copies that somebody edits or switches while the work is going on."""

import json
from datetime import timedelta

import pytest

from shared.domain.jobs.job import JobState, Pattern
from shared.settings import OnDrift
from tests.functional.remediation_story import Story, kill_after
from tests.twins import definition_builder as define
from tests.twins.flow_service import delete, turn_off, turn_on
from tests.twins.invariants import pairs_on_together, watch
from tests.twins.tenant import TwinFlow

HOUR = timedelta(hours=1)


def edit(flow: TwinFlow, action: dict[str, object] | None = None) -> None:
    """Let the owner save the flow with one more action."""
    text = json.dumps(action or {"type": "Compose", "inputs": 1})
    extra = f'"Extra": {text}, "Lineage": {{'
    flow.client_data = flow.client_data.replace('"Lineage": {', extra, 1)
    flow.version += 1


async def planned(story: Story) -> None:
    """Link, opt in and plan."""
    story.build.link()
    story.build.share_connections()
    await story.opt_in()
    await story.order()


async def test_an_edit_between_dispatch_and_copy_blocks_until_it_is_accepted() -> None:
    """The block says that the flow was edited; a retry copies it as it is then."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Orders", JobState.COPYING)
    edit(orders)

    await story.run(HOUR)
    blocked = await story.job("Orders")
    await story.retry()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "changed")
    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, job.history
    assert "Extra" in story.world.workflow(orders.environment_id, job.copy_id).client_data


async def test_an_edit_that_is_accepted_is_taken_with_all_it_brings() -> None:
    """A host that the edit calls for the first time is held against the firewalls."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Orders", JobState.COPYING)
    edit(orders, define.http_action("https://erp.contoso.example/orders"))

    await story.run(HOUR)
    await story.retry(run=HOUR)

    assert (await story.job("Orders")).http_hosts == ("erp.contoso.example",)


async def test_an_edit_after_the_copy_blocks_the_retirement_and_names_the_places() -> None:
    """The reason says where the definitions differ; the original stays on."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=HOUR)
    edit(orders)

    await story.run(timedelta(days=20))
    blocked = await story.job("Orders")
    was_on = orders.is_on
    await story.retry()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "changed")
    assert "/properties/definition/actions/Extra" in blocked.reason
    assert was_on
    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, job.history
    assert "Extra" in story.world.workflow(orders.environment_id, job.copy_id).client_data


async def test_an_edit_after_the_copy_is_copied_again_where_the_setting_says_so() -> None:
    """With `copy_again` nobody has to do anything."""
    story = Story()
    story.settings = story.settings.model_copy(update={"on_drift": OnDrift.COPY_AGAIN})
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    await planned(story)
    await story.approve(run=HOUR)
    edit(orders)

    await story.run(timedelta(days=40))

    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, job.history
    assert "Extra" in story.world.workflow(orders.environment_id, job.copy_id).client_data
    assert story.world.traffic.lost == []


async def test_an_edit_that_brings_a_connection_is_written_for_the_owner() -> None:
    """A flow that is on takes only connections of whoever saves it: the app has none."""
    story = Story()
    story.settings = story.settings.model_copy(update={"on_drift": OnDrift.COPY_AGAIN})
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=HOUR)
    story.build.connection("mail-1", "shared_office365", owner=story.build.owner)
    edit(orders, define.connector_action("shared_office365", "SendEmailV2"))
    entry = {
        "runtimeSource": "embedded",
        "connection": {"name": "mail-1"},
        "api": {"name": "shared_office365"},
    }
    document = json.loads(orders.client_data)
    document["properties"]["connectionReferences"]["shared_office365"] = entry
    orders.client_data = json.dumps(document)

    await story.run(timedelta(days=40))

    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, (job.reason, job.history)
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    assert "SendEmailV2" in copy.client_data
    assert copy.is_on


@pytest.mark.parametrize("on_drift", list(OnDrift))
async def test_an_edit_of_the_copy_is_not_undone_unasked(on_drift: OnDrift) -> None:
    """Callers use the copy: somebody mended it there. The original decides after a retry only."""
    story = Story()
    story.settings = story.settings.model_copy(update={"on_drift": on_drift})
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=HOUR)
    copy = story.world.workflow(orders.environment_id, (await story.job("Orders")).copy_id)
    edit(copy, {"type": "Compose", "inputs": "mended"})
    edit(orders)

    await story.run(timedelta(days=20))
    if on_drift is OnDrift.BLOCK:
        await story.retry()
    blocked = await story.job("Orders")
    text = copy.client_data
    await story.retry()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "copy_edited")
    assert "mended" in text
    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, (job.reason, job.history)
    assert "mended" not in copy.client_data
    assert "Extra" in copy.client_data


async def test_an_edit_of_a_self_starting_flow_after_its_copy_stops_the_swap() -> None:
    """A copy without the edit never takes over; after the retry it has the edit."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    watch(story.world)
    await story.approve(run=timedelta(0))
    await story.until("Keyword", JobState.PROVEN)
    edit(keyword)

    await story.run(HOUR)
    blocked = await story.job("Keyword")
    was_on = keyword.is_on
    await story.retry()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "changed")
    assert was_on
    job = await story.job("Keyword")
    assert job.state is JobState.RETIRED, job.history
    assert "Extra" in story.world.workflow(keyword.environment_id, job.copy_id).client_data
    assert story.world.violations == []


async def test_an_edit_of_a_swapped_original_is_for_a_person() -> None:
    """The copy runs: the edit has to be made there, and a retry says that it was."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    await story.approve(run=HOUR)
    edit(keyword)

    await story.run(timedelta(days=3))
    blocked = await story.job("Keyword")
    await story.retry()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "changed")
    assert "in the copy too" in blocked.instruction
    assert (await story.job("Keyword")).state is JobState.RETIRED


async def test_an_original_that_is_turned_on_after_the_dispatch_is_not_cut_off() -> None:
    """Planned as off, it is on when the copy is made: callers move and the quiet days count."""
    story = Story()
    form = story.build.off_flow("Form")
    story.build.app_setting_caller(form)
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Form", JobState.COPYING)
    turn_on(story.world, form, story.build.owner)
    story.world.traffic.beat(story.world)

    await story.run(timedelta(days=60))
    story.world.traffic.beat(story.world)

    job = await story.job("Form")
    assert (job.state, job.pattern) == (JobState.RETIRED, Pattern.CALLED), job.history
    assert story.world.traffic.lost == []


async def test_an_original_that_goes_off_while_its_copy_comes_on_takes_the_copy_along() -> None:
    """The process died when it had turned the copy on; the next delivery turns it off again."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Orders", JobState.COPYING)
    plan = kill_after(story, "WorkflowsTwin.update")
    await story.run(timedelta(0))
    job = await story.job("Orders")
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    assert plan.has_struck
    assert copy.is_on
    turn_off(story.world, orders)

    await story.run(timedelta(days=60))

    job = await story.job("Orders")
    assert job.state is JobState.RETIRED, (job.reason, job.history)
    assert job.pattern is Pattern.OFF
    assert not copy.is_on


async def test_an_original_that_is_turned_on_after_its_copy_is_not_cut_off() -> None:
    """Copied as off, it is on when it would retire: its copy is turned on and its callers move."""
    story = Story()
    child = story.build.off_flow("Form")
    story.build.app_setting_caller(child)
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Form", JobState.PROVEN)
    turn_on(story.world, child, story.build.owner)
    story.world.traffic.beat(story.world)

    await story.run(timedelta(days=60))
    story.world.traffic.beat(story.world)

    job = await story.job("Form")
    assert (job.state, job.pattern) == (JobState.RETIRED, Pattern.CALLED), job.history
    assert story.world.traffic.lost == []


async def test_a_self_starting_flow_that_is_turned_off_before_the_swap_stays_off() -> None:
    """Its owner wanted it off: the copy does not start by itself."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Keyword", JobState.PROVEN)
    turn_off(story.world, keyword)

    await story.run(timedelta(days=60))

    job = await story.job("Keyword")
    assert (job.state, job.pattern) == (JobState.RETIRED, Pattern.OFF), job.history
    assert not story.world.workflow(keyword.environment_id, job.copy_id).is_on
    assert pairs_on_together(story.world) == []


async def test_a_copy_that_is_edited_before_it_is_proven_is_for_a_person() -> None:
    """No caller moves to a copy that is not what was copied."""
    story = Story()
    orders = story.build.http_flow("Orders")
    site = story.build.app_setting_caller(orders)
    old_url = story.build.url_of(orders)
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", JobState.COPIED)
    edit(story.world.workflow(orders.environment_id, job.copy_id))

    await story.run(timedelta(days=1))

    job = await story.job("Orders")
    assert (job.state, job.code) == (JobState.BLOCKED, "copy")
    assert site.settings["FLOW_URL"] == old_url


async def test_a_copy_that_is_deleted_before_it_is_proven_is_for_a_person() -> None:
    """The block says so, and a cancel still ends the job."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", JobState.COPIED)
    story.world.workflow(orders.environment_id, job.copy_id).is_deleted = True

    await story.run(timedelta(days=1))
    blocked = await story.job("Orders")
    await story.roll_back()

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "copy")
    assert (await story.job("Orders")).state is JobState.ROLLED_BACK


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_no_caller_is_pointed_at_a_copy_that_is_off_or_gone(*, is_deleted: bool) -> None:
    """It was proven, and is not what it was when its callers' turn comes: no call is lost."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", JobState.UPDATING_CALLERS)
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    if is_deleted:
        delete(story.world, copy)
    else:
        turn_off(story.world, copy)

    await story.run(timedelta(days=2))

    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "copy" if is_deleted else "state")
    assert story.world.traffic.lost == []

    if is_deleted:
        await story.roll_back()
    else:
        turn_on(story.world, copy, story.build.owner)
        await story.retry()
    end = JobState.ROLLED_BACK if is_deleted else JobState.RETIRED
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
    job = await story.until("Orders", JobState.QUIET)
    copy = story.world.workflow(orders.environment_id, job.copy_id)
    if is_deleted:
        delete(story.world, copy)
    else:
        turn_off(story.world, copy)

    await story.run(timedelta(days=60))

    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "copy" if is_deleted else "state")
    assert (orders.is_on, orders.name) == (True, "Orders")

    if is_deleted:
        await story.roll_back()
        assert (await story.job("Orders")).state is JobState.ROLLED_BACK
    else:
        turn_on(story.world, copy, story.build.owner)
        await story.retry()
        assert (await story.job("Orders")).state is JobState.RETIRED


@pytest.mark.parametrize("was_stopped", [True, False])
async def test_a_self_starting_original_stays_on_whose_copy_is_deleted_before_the_swap(
    *, was_stopped: bool
) -> None:
    """Also where the process died when it had stopped the original: it comes back on."""
    story = Story()
    keyword = story.build.keyword_flow("Keyword")
    await planned(story)
    await story.approve(run=timedelta(0))
    job = await story.until("Keyword", JobState.SWAPPING)
    if was_stopped:
        plan = kill_after(story, "WorkflowsTwin.update")
        await story.run(timedelta(0))
        assert plan.has_struck
    assert keyword.is_on is not was_stopped
    delete(story.world, story.world.workflow(keyword.environment_id, job.copy_id))

    await story.run(timedelta(days=1))

    job = await story.job("Keyword")
    assert job.state is JobState.BLOCKED
    assert keyword.is_on
