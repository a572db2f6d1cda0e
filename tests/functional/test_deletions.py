"""The dated, approved delete of retired originals: what is deleted when, and what keeps it."""

from shared.domain.deletion import DeletionState
from shared.domain.job import JobState
from tests.functional.deletion_story import (
    BY,
    DAY,
    at_its_date,
    deletes,
    deletions,
    order,
    original,
    retired_story,
    turns,
)
from tests.twins import definition_builder as define


async def test_an_original_is_deleted_on_its_date_and_not_before() -> None:
    """A day early it stands; on the day it goes, its job stays retired and says so."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story, within=2 * DAY)

    await story.run(DAY)
    await turns(story)
    stood = not orders.is_deleted
    await at_its_date(story)

    row, job = (await deletions(story))["Orders"], await story.job("Orders")
    assert stood
    assert (row.state, row.approved_by, row.is_listed) == (DeletionState.DELETED, BY, False)
    assert deletes(story) == [orders.workflow_id]
    assert job.state is JobState.RETIRED
    assert BY in job.history[-1].text
    assert row.restorable_until is not None
    assert story.world.workflow(orders.environment_id, job.copy_id).is_on


async def test_a_flow_outside_solutions_is_deleted_by_the_flow_service() -> None:
    """It has no row that may be changed: the flow service's own delete is used."""
    story = await retired_story(
        lambda s: s.build.flow("Button", define.request_trigger("PowerApp"), in_solution=False)
    )
    button = original(story, "Button")
    await order(story)

    await at_its_date(story)

    assert button.is_deleted
    assert [w.what for w in story.world.writes][-1] == "delete flow"
