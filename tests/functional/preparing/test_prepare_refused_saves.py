"""An original whose save is refused, and which loses its connection references by that."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.write_definition import is_stored
from shared.use_cases import change_remediation
from tests.fakes.crash import Killed
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import TwinFlow
from tests.functional.preparing.prepare_story import PREPARE
from tests.functional.scenarios.refused_saves import references_of, refuse_saves
from tests.functional.scenarios.remediation_scenario import Story
from tests.property.interrupted import PREPARED


async def prepared_story(
    *, is_outside: bool, wipes: int, error: BaseException | None = None
) -> tuple[Story, TwinFlow, str]:
    """Prepare one flow whose first saves are refused; `is_outside`: it is in no solution yet."""
    story = Story(mode=ApprovalPolicy.REQUIRED)
    (flow,) = PREPARED["action"](story)
    if is_outside:
        flow.in_solution, flow.flow_name = False, flow.workflow_id
    flow_before = flow.client_data
    refuse_saves(story, flow, wipes=wipes, error=error)
    await story.opt_in()
    await story.order(PREPARE, flow.workflow_id)
    await story.approve()
    return story, flow, flow_before


@pytest.mark.parametrize("is_outside", [False, True])
async def test_a_refused_save_costs_no_connection_reference(*, is_outside: bool) -> None:
    """The job is blocked, the flow is as it was; a retry converts it, a rollback undoes that."""
    story, flow, before = await prepared_story(is_outside=is_outside, wipes=1)
    (job,) = (await story.jobs()).values()
    assert (job.state, job.code) == (FlowJobState.BLOCKED, "Strange")
    assert references_of(flow).keys() == {"shared_flowmanagement"}

    await story.retry()
    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.reason
    assert references_of(flow).keys() == {"shared_flowmanagement"}

    await story.roll_back()
    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.reason
    assert is_stored(flow.client_data, before) or is_outside
    assert references_of(flow).keys() == {"shared_flowmanagement"}


@pytest.mark.parametrize("is_outside", [False, True])
async def test_a_delivery_that_died_after_a_refused_save_costs_none(*, is_outside: bool) -> None:
    """The archive has the references: what it kept first is never replaced."""
    story, flow, _ = await prepared_story(is_outside=is_outside, wipes=1, error=Killed())

    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.reason
    assert references_of(flow).keys() == {"shared_flowmanagement"}


@pytest.mark.parametrize("is_outside", [False, True])
async def test_what_stays_lost_is_restored_from_the_archive_by_a_retry(*, is_outside: bool) -> None:
    """The job does not take the damaged definition for the original one."""
    story, flow, _ = await prepared_story(is_outside=is_outside, wipes=3)
    (job,) = (await story.jobs()).values()
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "shared_flowmanagement" in job.reason
    assert references_of(flow) == {}

    for _ in range(3):
        await story.retry()

    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.reason
    assert references_of(flow).keys() == {"shared_flowmanagement"}


async def test_a_rollback_restores_what_a_refused_save_removed() -> None:
    """Nothing was converted yet, and the flow lost its references all the same."""
    story, flow, before = await prepared_story(is_outside=False, wipes=2)
    assert references_of(flow) == {}

    await story.roll_back()

    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.reason
    assert flow.client_data == before


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_an_undo_right_after_a_refused_save_restores_the_definition(
    order: Callable[[Services, str], Awaitable[object]],
) -> None:
    """Byte for byte: the refusal passes, and nothing was converted when the undo was ordered."""
    story = Story(mode=ApprovalPolicy.REQUIRED)
    (flow,) = PREPARED["action"](story)
    story.world.assumptions.refused_saves_wipe_references = True
    story.world.assumptions.unpublished_row_seconds = 60
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order(PREPARE, flow.workflow_id)
    await story.approve(run=timedelta(seconds=5))
    assert (flow.references_wiped, references_of(flow)) == (1, {})

    await order(story.services, story.remediation.id)
    await story.run(timedelta(hours=1))

    (job,) = (await story.jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.reason
    assert differences(before, story.world) == []
