"""Deletes of originals that are killed, raced or undone: never too early, never twice."""

from contextlib import suppress

import pytest

from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, ServiceUnavailable
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.schedule_deletions import cancel_deletions
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.test_world import World
from tests.functional.deleting.deletion_story import (
    DAY,
    MINUTE,
    at_its_date,
    deletes,
    deletions,
    kept_runs,
    order,
    original,
    ran,
    retired_story,
    turns,
)
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Story, edit

RUNS = 130
#: More calls than a delete of one original makes.
CALLS = 90


def watched(story: Story) -> Story:
    """Let every delete be looked at: all has to be archived by then, and the switch be off."""

    def look(world: World) -> list[str]:
        latest = world.writes[-1].what
        if not latest.startswith("delete "):
            return []
        kept, states = kept_runs(story), str(list(story.twins.store.rows.values()))
        return [
            text
            for text, is_wrong in (
                ("runs are missing", len(set(kept)) != RUNS or len(kept) != RUNS),
                ("the definition is missing", not _has_definition(story)),
                ("no intent was noted", '"state":"deleting"' not in states),
            )
            if is_wrong
        ]

    story.world.watchers.append(look)
    return story


def _has_definition(story: Story) -> bool:
    orders = original(story, "Orders")
    texts = [content.decode() for content in story.twins.archive.contents.values()]
    return orders.client_data in texts


async def due_story() -> Story:
    """Return a story with one delete that is due, of an original that has run often."""
    story = watched(await retired_story())
    ran(story, original(story, "Orders"), RUNS)
    await order(story)
    await story.run(DAY + MINUTE)
    return story


async def test_the_calls_of_a_delete_are_fewer_than_those_that_are_interrupted() -> None:
    """The next test strikes at each of them."""
    story = await due_story()
    plan = Plan()
    services = story.make(story.twins.ports.under(plan))

    await turns(story, services)

    assert (await deletions(story))["Orders"].state is DeletionState.DELETED
    assert 30 < plan.calls < CALLS


@pytest.mark.parametrize("failure", [Killed, ServiceUnavailable])
@pytest.mark.parametrize("moment", Moment)
async def test_a_delete_goes_on_after_a_kill_or_a_failure_at_any_call(
    moment: Moment, failure: type[BaseException]
) -> None:
    """Whatever call the process dies or fails at: deleted once, after all was archived."""
    struck = 0
    for number in range(1, CALLS, 1 if failure is Killed else 3):
        story = await due_story()
        plan = Plan(at=number, moment=moment, failure=failure)
        with suppress(Killed, ServiceUnavailable):
            await delete_originals(story.make(story.twins.ports.under(plan)))

        await story.run(5 * MINUTE)
        await turns(story)

        struck += plan.has_struck
        row = (await deletions(story))["Orders"]
        assert row.state is DeletionState.DELETED, (number, row)
        assert row.restorable_until is not None
        assert deletes(story) == [original(story, "Orders").workflow_id]
        assert story.world.violations == []
        job = await story.job("Orders")
        assert (job.state, job.leased_until) == (FlowJobState.RETIRED, None), number
        assert [change.text for change in job.history].count(job.history[-1].text) == 1
    assert struck > 15


async def test_two_rounds_at_once_delete_once() -> None:
    """The timer of another instance comes in the middle: it leaves the row alone."""
    story = await due_story()

    async def another() -> None:
        await delete_originals(story_services)

    story_services = story.services
    disturb(story, "workflows", "delete", another)
    await turns(story, story.make(story.twins.ports))

    assert len(deletes(story)) == 1
    assert (await deletions(story))["Orders"].state is DeletionState.DELETED


async def test_a_cancel_before_the_intent_holds() -> None:
    """It comes while the original is being checked: the delete is not made."""
    story = await due_story()

    async def keep() -> None:
        await cancel_deletions(story.services, story.remediation.id, (), by="keeper")

    disturb(story, "workflows", "get", keep)
    await turns(story, story.make(story.twins.ports))

    assert (await deletions(story))["Orders"].state is DeletionState.CANCELLED
    assert deletes(story) == []
    assert (await story.job("Orders")).leased_until is None


async def test_a_rollback_in_the_middle_of_the_checks_comes_first() -> None:
    """The order cancels the delete; the original comes back."""
    story = await due_story()
    orders = original(story, "Orders")

    async def roll_back() -> None:
        await change_remediation.roll_back(story.services, story.remediation.id)

    disturb(story, "flow_reports", "run_page", roll_back)
    await turns(story, story.make(story.twins.ports))
    await story.run(60 * DAY)

    assert deletes(story) == []
    assert (await deletions(story))["Orders"].state is DeletionState.CANCELLED
    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


async def test_the_kill_switch_in_the_middle_of_the_checks_stops_the_delete() -> None:
    """It is read again right before the delete."""
    story = await due_story()

    async def stop() -> None:
        await set_kill_switch(story.services, is_on=True, by="tests", reason="audit")

    disturb(story, "workflows", "get", stop)
    await turns(story, story.make(story.twins.ports))

    assert deletes(story) == []
    assert "kill switch" in (await deletions(story))["Orders"].reason


async def test_an_edit_in_the_middle_of_the_checks_is_not_deleted_unseen() -> None:
    """The platform refuses to delete another version than was read; the next look sees it."""
    story = await due_story()
    orders = original(story, "Orders")

    async def edit() -> None:
        orders.version += 1
        orders.client_data = orders.client_data.replace("Orders", "Edited")

    disturb(story, "workflows", "delete", edit)
    await delete_originals(story.make(story.twins.ports))

    assert deletes(story) == []
    assert not orders.is_deleted


async def test_an_edit_while_a_flow_outside_solutions_is_archived_is_not_deleted_unseen() -> None:
    """Its delete names no version: it is read again, and the next look blocks the row."""
    story = await retired_story(
        lambda s: s.build.flow("Button", define.request_trigger("PowerApp"), in_solution=False)
    )
    await order(story)
    await story.run(DAY + MINUTE)
    button = original(story, "Button")

    async def save() -> None:
        edit(button)

    disturb(story, "archive", "get", save)
    await delete_originals(story.make(story.twins.ports))
    first = (await deletions(story))["Button"]
    await turns(story)

    row = (await deletions(story))["Button"]
    assert first.state is DeletionState.DELETING
    assert (row.state, row.code) == (DeletionState.BLOCKED, Reason.ORIGINAL_EDITED)
    assert deletes(story) == []


async def test_a_call_that_never_came_through_can_still_be_cancelled() -> None:
    """The intent stands, the flow too: the next look says so, and the original may be kept."""
    story = await due_story()

    async def fail() -> None:
        raise ServiceUnavailable("no answer")

    disturb(story, "workflows", "delete", fail)
    await delete_originals(story.make(story.twins.ports))
    noted = (await deletions(story))["Orders"]
    with pytest.raises(Conflict):
        await cancel_deletions(story.services, story.remediation.id, (), by="keeper")
    await set_kill_switch(story.services, is_on=True, by="tests", reason="audit")
    await story.run(5 * MINUTE)
    await delete_originals(story.services)
    waiting = (await deletions(story))["Orders"]
    await cancel_deletions(story.services, story.remediation.id, (), by="keeper")

    row = (await deletions(story))["Orders"]
    assert noted.state is DeletionState.DELETING
    assert (waiting.state, deletes(story)) == (DeletionState.ARCHIVING, [])
    assert "kill switch" in waiting.reason
    assert (row.state, row.restorable_until) == (DeletionState.CANCELLED, None)


# --- undone --------------------------------------------------------------------------------------


async def test_a_deleted_flow_outside_solutions_is_restored_by_a_rollback() -> None:
    """The app takes it out of the recycle bin, and everything is as it was."""
    story = Story()
    story.build.flow("Button", define.http_trigger(), in_solution=False)
    button = original(story, "Button")
    story.build.app_setting_caller(button)
    story.build.link()
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order()
    await story.approve()
    await order(story)
    await at_its_date(story)
    was_deleted = button.is_deleted

    await story.roll_back()

    assert was_deleted
    job = await story.job("Button")
    assert job.state is FlowJobState.ROLLED_BACK, (job.reason, job.history)
    assert differences(before, story.world) == []
    assert (await deletions(story))["Button"].state is DeletionState.CANCELLED


async def test_a_deleted_flow_of_a_solution_is_restored_by_a_person() -> None:
    """The rollback names the last day; after the restore a retry ends it."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story)
    await at_its_date(story)
    until = (await deletions(story))["Orders"].restorable_until
    assert until is not None

    await story.roll_back(run=DAY)
    blocked = await story.job("Orders")
    orders.is_deleted, orders.deleted_at = False, None
    await story.retry()

    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "original_already_deleted")
    assert f"{until:%Y-%m-%d}" in blocked.instruction
    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


async def test_when_it_can_no_longer_be_restored_the_job_is_retired_again() -> None:
    """A rollback that comes too late changes nothing: the copy works on."""
    story = await retired_story()
    await order(story)
    await at_its_date(story)
    await story.run(22 * DAY)
    writes = len(story.world.writes)

    await story.roll_back()

    job = await story.job("Orders")
    assert (job.state, job.requested) == (FlowJobState.RETIRED, None)
    assert "cannot be restored" in job.history[-1].text
    assert story.world.writes[writes:] == []
    assert story.world.workflow(job.environment_id, job.copy_id).is_on


@pytest.mark.parametrize("moment", Moment)
async def test_a_rollback_after_a_delete_goes_on_after_a_kill(moment: Moment) -> None:
    """Whatever call the process dies at while it restores: the original is back, and once."""
    for number in range(1, 20):
        story = Story()
        story.build.flow("Button", define.http_trigger(), in_solution=False)
        button = original(story, "Button")
        story.build.link()
        await story.opt_in()
        await story.order()
        await story.approve()
        await order(story)
        await at_its_date(story)
        story.driver.plan = Plan(at=number, moment=moment)
        story.renew()

        with suppress(Killed):
            await change_remediation.roll_back(story.services, story.remediation.id)
        await story.run(30 * DAY)

        assert (await story.job("Button")).state is FlowJobState.ROLLED_BACK, number
        assert button.is_on
        restores = [write for write in story.world.writes if write.what == "restore flow"]
        assert len(restores) == 1


async def test_a_rollback_waits_out_a_delete_that_may_be_under_way() -> None:
    """Outside solutions a delete names no version: it would take the original that is back."""
    story = Story()
    story.build.flow("Button", define.http_trigger(), in_solution=False)
    button = original(story, "Button")
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve()
    await order(story)
    was_on = []

    async def others_go_on() -> None:
        await change_remediation.roll_back(story.services, story.remediation.id)
        job = await story.job("Button")
        for _ in range(6):
            story.world.clock.advance(MINUTE)
            await run_flow_job_step(story.services, job.environment_id, job.id)
        was_on.append(button.is_on)

    disturb(story, "flow_switch", "delete", others_go_on)
    await story.run(DAY + MINUTE)
    await turns(story, story.make(story.twins.ports))
    await story.run(30 * DAY)

    assert was_on == [False]
    assert (await story.job("Button")).state is FlowJobState.ROLLED_BACK
    assert button.is_on


async def test_a_family_that_is_half_deleted_goes_back_when_a_person_has_restored_it() -> None:
    """The child is blocked by its parents, without a message in vain; their end wakes it."""
    story = await retired_story(lambda s: s.build.family("Billing"))
    titles = ("Billing grandparent", "Billing parent")
    await order(story, *(original(story, title).workflow_id for title in titles))
    await at_its_date(story)

    await story.roll_back(run=30 * DAY)
    child = await story.job("Billing child")
    deliveries = story.driver.deliveries
    await story.run(10 * DAY)
    in_vain = story.driver.deliveries - deliveries
    for title in titles:
        original(story, title).is_deleted = False
    await story.driver.call(lambda s: change_remediation.retry(s, story.remediation.id))
    await story.run(60 * DAY)

    assert (child.state, child.code, in_vain) == (FlowJobState.BLOCKED, "parent_flow_not_ready", 0)
    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, jobs
