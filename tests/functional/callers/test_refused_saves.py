"""Flows that are saved because they call an original: refused, harmed by the refusal, or both."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.shape_demand import ShapeDemand
from shared.reason import Reason
from tests.fakes import definition_builder as define
from tests.fakes.crash import Killed
from tests.fakes.tenant import TwinFlow
from tests.functional.scenarios.refused_saves import references_of, refuse_saves
from tests.functional.scenarios.remediation_scenario import Story
from tests.functional.scenarios.watched_scenario import assert_nothing_lost, planned

HOUR = timedelta(hours=1)
MAIL = "shared_office365"
AUTHENTICATION = "@parameters('$authentication')"


def caller(story: Story, uri: str, name: str = "Caller") -> TwinFlow:
    """Add a button flow that posts to an address and sends a mail, in the older connector shape."""
    mail = define.connector_action(MAIL, "SendEmailV2")
    mail["inputs"]["authentication"] = AUTHENTICATION
    flow = story.build.flow(
        name,
        define.request_trigger("Button"),
        {"Post": define.http_action(uri), "Mail": mail},
        connections={"mail-1": MAIL},
    )
    story.build.starter(flow)
    return flow


def story_of_caller(**assumptions: Any) -> tuple[Story, TwinFlow]:
    """Return a story of one flow with one such caller, on a platform that harms what it refuses."""
    story = Story()
    orders = story.build.http_flow("Orders")
    flow = caller(story, story.build.url_of(orders))
    harmful(story, **assumptions)
    return story, flow


def story_of_variable(**assumptions: Any) -> tuple[Story, TwinFlow]:
    """Return the same with a caller that takes the address from an environment variable."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.variable_caller(orders)
    flow = caller(story, define.variable_expression("con_FlowUrl"), "User")
    harmful(story, **assumptions)
    return story, flow


def harmful(story: Story, **assumptions: Any) -> None:
    """Let refused saves empty the connection references of a flow."""
    wanted = {"refused_saves_wipe_references": True, **assumptions}
    for name, value in wanted.items():
        setattr(story.world.assumptions, name, value)


async def moved(story: Story) -> None:
    """Let the callers be updated."""
    await planned(story)
    await story.approve(run=HOUR)


STORIES = pytest.mark.parametrize("make", [story_of_caller, story_of_variable])


@STORIES
async def test_a_flow_is_saved_in_the_shape_that_the_platform_demands(make: Any) -> None:
    """It keeps its references, calls the copy, and goes back to the original by a rollback."""
    story, flow = make(older_host_shapes_refused=True)
    before = references_of(flow)

    await moved(story)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), job.reason
    assert references_of(flow) == before
    assert AUTHENTICATION not in flow.client_data.replace("\\u0027", "'")
    assert_nothing_lost(story)

    await story.roll_back()

    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert references_of(flow) == before
    assert_nothing_lost(story)


@STORIES
async def test_a_flow_is_converted_first_where_that_is_known_to_be_demanded(make: Any) -> None:
    """No save of it is refused, so none can do harm."""
    story, flow = make(older_host_shapes_refused=True)
    demand = ShapeDemand(environment_id=flow.environment_id, seen=story.services.now)
    await story.services.tables.shape_demands.upsert(demand)

    await moved(story)

    assert (await story.job("Orders")).code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@STORIES
async def test_a_demand_that_was_seen_is_remembered(make: Any) -> None:
    """The next flow of the environment is converted first."""
    story, flow = make(older_host_shapes_refused=True)

    await moved(story)

    kept = await story.services.tables.shape_demands.get("shape", flow.environment_id)
    assert kept is not None
    assert kept.item.lasts(story.services.now)


@STORIES
async def test_what_a_refused_save_removed_is_restored(make: Any) -> None:
    """The flow cannot be saved for another reason: the job says so, the flow is as it was."""
    story, flow = make()
    before = flow.client_data
    refuse_saves(story, flow, wipes=1)

    await moved(story)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, "Strange")
    assert f"flow {flow.name} cannot be saved" in job.reason
    assert flow.client_data == before
    assert_nothing_lost(story)


@STORIES
async def test_what_cannot_be_restored_is_named(make: Any) -> None:
    """The person who is asked learns which references are missing, in which flow."""
    story, flow = make()
    refuse_saves(story, flow, wipes=99)

    await moved(story)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "shared_office365 (mail-1)" in job.reason
    assert f"Open the flow {flow.name}" in job.instruction
    assert references_of(flow) == {}


@STORIES
async def test_what_a_dead_delivery_left_removed_is_restored_later(make: Any) -> None:
    """The process dies after the refused save: nobody has the references but the archive."""
    story, flow = make()
    before = references_of(flow)
    left = refuse_saves(story, flow, wipes=1, error=Killed())

    await moved(story)

    assert left == []
    assert (await story.job("Orders")).code == Reason.NO_CALL_PERIOD
    assert references_of(flow) == before
    assert_nothing_lost(story)


@STORIES
async def test_a_refusal_that_passes_is_waited_for(make: Any) -> None:
    """An active row that is not published: the same save succeeds some minutes later."""
    story, flow = make(unpublished_row_seconds=240)
    before = references_of(flow)

    await moved(story)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), job.reason
    assert references_of(flow) == before
    assert_nothing_lost(story)


@STORIES
async def test_a_refusal_that_should_pass_and_does_not_has_an_instruction(make: Any) -> None:
    """After some tries a person is asked, with the platform's code."""
    story, _ = make(unpublished_row_seconds=24 * 3600)

    await planned(story)
    await story.approve(run=timedelta(hours=12))

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, "0x80040203")
    assert "Turn the flow off and on" in job.instruction


@STORIES
async def test_a_reference_that_nobody_sent_has_an_instruction(make: Any) -> None:
    """No save of such a flow succeeds: only a new flow helps."""
    story, flow = make()
    flow.stamped_reference = "new_sharedoffice365_1"

    await moved(story)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "only a new flow helps" in job.instruction


async def test_a_caller_is_saved_for_its_owner() -> None:
    """The app may not use the connection of a caller that is on; its owner may."""
    story, flow = story_of_caller()
    story.build.link()
    await story.opt_in()
    await story.order()

    await story.approve(run=HOUR)

    assert (await story.job("Orders")).code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@pytest.mark.parametrize("lag", ["list_lag_seconds", "read_lag_seconds"])
async def test_a_flow_that_was_saved_a_moment_ago_takes_the_new_value_over(lag: str) -> None:
    """Lists show it with an ETag from before, or every read does: it is saved all the same."""
    story, flow = story_of_variable()
    await planned(story)
    setattr(story.world.assumptions, lag, (60, 60))
    environment = story.build.environment.described()
    change = WorkflowUpdate(client_data=flow.client_data)
    await story.approve(run=timedelta(0))
    await story.services.workflows.update(environment, flow.workflow_id, change, etag="*")

    await story.run(12 * HOUR)

    job = await story.job("Orders")
    assert (job.state, job.code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), job.reason
    copy = story.world.workflow(job.environment_id, job.copy_id)
    runs = len(copy.runs)
    story.world.traffic.beat(story.world)
    assert len(copy.runs) == runs + 2  # of both flows that use the variable
    assert_nothing_lost(story)
