"""Nothing is stopped that a look could have foretold not to start again.

See platform.md#expired-licences.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.use_cases.change_environment import ignore_issue
from tests.fakes import definition_builder as define
from tests.fakes.assessment import ConnectionsTwin
from tests.fakes.flow_service import delete, turn_off
from tests.fakes.tenant import TwinFlow
from tests.functional.scenarios.remediation_scenario import Story

DAY = timedelta(days=1)


def disable_owner(story: Story, _: TwinFlow) -> str:
    """The owner leaves."""
    story.build.owner.is_disabled = True
    return f"owner:{story.build.owner.user_id}"


def break_connection(story: Story, _: TwinFlow) -> str:
    """A password runs out."""
    (connection,) = story.build.environment.connections.values()
    connection.error = "The token has expired"
    return f"connection:{connection.name}"


def delete_connection(story: Story, _: TwinFlow) -> str:
    """One of two connections is deleted."""
    (connection,) = story.build.environment.connections.values()
    story.build.connection("another", "shared_sql", owner=story.build.owner)
    del story.build.environment.connections[connection.name]
    return f"connection:{connection.name}"


def unbind(story: Story, _: TwinFlow) -> str:
    """The reference that was made for the copy loses its connection."""
    references = story.build.environment.connection_references
    ((name, row),) = references.items()
    references[name] = replace(row, connection_id="")
    return f"connection_reference:{name}"


def turn_child_off(story: Story, _: TwinFlow) -> str:
    """Somebody turns off the child that the copy runs, itself a copy."""
    child = next(flow for flow in story.world.flows() if flow.name == "Child (CMK)")
    turn_off(story.world, child)
    return f"child:{child.workflow_id}"


def turn_shared_child_off(story: Story, _: TwinFlow) -> str:
    """Somebody turns off a child that both run: neither of the two could be started any more."""
    child = next(flow for flow in story.world.flows() if flow.name == "Other child")
    turn_off(story.world, child)
    return f"child:{child.workflow_id}"


def delete_child(story: Story, _: TwinFlow) -> str:
    """Somebody deletes a child that both run."""
    child = next(flow for flow in story.world.flows() if flow.name == "Other child")
    delete(story.world, child)
    return f"child:{child.workflow_id}"


def let_licence_lapse(story: Story, flow: TwinFlow) -> str:
    """The owner's licence is taken away: the flow runs on."""
    story.build.owner.has_premium = False
    return f"licence:{flow.workflow_id}"


type Cause = Callable[[Story, TwinFlow], str]
ALL: list[Cause] = [
    disable_owner,
    break_connection,
    delete_connection,
    unbind,
    turn_child_off,
    turn_shared_child_off,
    delete_child,
    let_licence_lapse,
]


def self_starting(story: Story, cause: Cause) -> TwinFlow:
    """Add a flow that starts by itself and can fall to this cause."""
    if cause in {turn_child_off, turn_shared_child_off, delete_child}:
        other = story.build.flow("Other child", define.request_trigger("Button"))
        return story.build.parent("Flow", story.build.http_flow("Child"), other)
    if cause is let_licence_lapse:
        return story.build.flow(
            "Flow",
            define.connector_trigger("shared_teams", "WebhookKeywordTrigger", is_webhook=True),
            {"Post": define.http_action("https://erp.example/orders")},
            connections={"teams-maker": "shared_teams"},
        )
    return story.build.keyword_flow("Flow")


async def about_to(story: Story, state: FlowJobState) -> None:
    """Let the job of `Flow` come to a state; what it calls is not what is looked at here."""
    story.build.link()
    story.build.share_connections()
    gaps = {"service_tag:powerplatformplex": "not in this tenant"}
    await story.opt_in(waived_gaps=gaps)
    await story.order()
    await story.approve(run=timedelta(0))
    await story.until("Flow", state)


@pytest.mark.parametrize("cause", ALL)
async def test_a_swap_that_a_look_foretells_to_fail_never_begins(cause: Cause) -> None:
    """The original is not stopped for a moment, and the row says what to do, by its name."""
    story = Story()
    flow = self_starting(story, cause)
    await about_to(story, FlowJobState.VERIFIED)
    name = cause(story, flow)

    await story.run(DAY)

    job = await story.job("Flow")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL), job.reason
    assert f"[{name}]" in job.reason
    assert job.instruction
    switches = [one.state for one in story.world.switches if one.workflow_id == flow.workflow_id]
    assert FlowState.OFF not in switches


async def test_a_licence_that_has_lapsed_may_be_accepted_by_name() -> None:
    """A person chose: the swap begins, is refused, and the app goes on trying to start either."""
    story = Story()
    flow = self_starting(story, let_licence_lapse)
    await about_to(story, FlowJobState.VERIFIED)
    name = let_licence_lapse(story, flow)
    await story.run(DAY)

    await ignore_issue(story.services, flow.environment_id, name, "a licence is on its way")
    await story.run(DAY)
    assert (await story.job("Flow")).code == Reason.BOTH_OFF

    story.build.owner.has_premium = True
    await story.run(DAY)
    assert flow.is_on


async def test_a_called_original_is_not_retired_whose_licence_has_lapsed() -> None:
    """It runs on, and could not be turned on again: a rollback would be an empty promise."""
    story = Story()
    orders = story.build.http_flow("Flow")
    await about_to(story, FlowJobState.CHECKING_FOR_CALLS)
    story.build.owner.has_premium = False

    await story.run(timedelta(days=60))
    job = await story.job("Flow")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert (orders.is_on, orders.name) == (True, "Flow")

    await ignore_issue(
        story.services, orders.environment_id, f"licence:{orders.workflow_id}", "fine"
    )
    await story.run(timedelta(days=60))
    assert (await story.job("Flow")).state is FlowJobState.RETIRED


async def test_a_copy_is_not_stopped_for_an_original_that_could_not_start() -> None:
    """The rollback of a swap looks too, before it begins."""
    story = Story()
    flow = self_starting(story, let_licence_lapse)
    await about_to(story, FlowJobState.MONITORING)
    story.build.owner.has_premium = False

    await story.roll_back(replay=True)

    job = await story.job("Flow")
    assert (job.state, job.code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert story.world.workflow(flow.environment_id, job.copy_id).is_on
    assert not flow.is_on


async def test_one_list_of_connections_serves_several_flows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds every connection of the environment, and is the same for all of its flows."""
    story = Story()
    names = [f"Flow {number}" for number in range(4)]
    for name in names:
        story.build.keyword_flow(name)
    lists = 0
    listed = ConnectionsTwin.errors

    async def counted(twin: ConnectionsTwin, environment_id: str) -> dict[str, str]:
        nonlocal lists
        lists += 1
        return await listed(twin, environment_id)

    monkeypatch.setattr(ConnectionsTwin, "errors", counted)
    story.build.link()
    story.build.share_connections()
    await story.opt_in(waived_gaps={"service_tag:powerplatformplex": "not in this tenant"})
    await story.order()
    await story.approve(run=DAY)

    states = {(await story.job(name)).reached for name in names}
    assert states == {FlowJobState.MONITORING}
    assert 1 <= lists < len(names)


async def test_what_the_app_is_not_shown_stops_nothing() -> None:
    """No list of connections, no word on a licence: the plan has said that it is not known."""
    story = Story()
    self_starting(story, let_licence_lapse)
    await about_to(story, FlowJobState.VERIFIED)
    story.build.environment.connections.clear()
    story.world.tells_licences = False

    await story.until("Flow", FlowJobState.CUTTING_OVER)


async def test_the_plan_says_what_no_look_can_tell() -> None:
    """An approval accepts it. Of a flow in no solution it is more, of one that is off nothing."""
    story = Story()
    story.build.http_flow("In a solution")
    story.build.mail_flow("In none")
    story.build.off_flow("Off")
    story.build.link()
    await story.opt_in()
    await story.order()

    plan = await story.plan()
    inside, outside = set(plan["In a solution"].not_known), set(plan["In none"].not_known)
    assert inside < outside
    assert "turn it on again" in " ".join(outside - inside)
    assert plan["Off"].not_known == ()
