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
from tests.fakes.assessment import FakeConnections
from tests.fakes.flow_service import delete, turn_off
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


def disable_owner(scenario: Scenario, _: FakeFlow) -> str:
    """The owner leaves."""
    scenario.build.owner.is_disabled = True
    return f"owner:{scenario.build.owner.user_id}"


def break_connection(scenario: Scenario, _: FakeFlow) -> str:
    """A password runs out."""
    (connection,) = scenario.build.environment.connections.values()
    connection.error = "The token has expired"
    return f"connection:{connection.name}"


def delete_connection(scenario: Scenario, _: FakeFlow) -> str:
    """One of two connections is deleted."""
    (connection,) = scenario.build.environment.connections.values()
    scenario.build.connection("another", "shared_sql", owner=scenario.build.owner)
    del scenario.build.environment.connections[connection.name]
    return f"connection:{connection.name}"


def unbind(scenario: Scenario, _: FakeFlow) -> str:
    """The reference that was made for the copy loses its connection."""
    references = scenario.build.environment.connection_references
    ((name, row),) = references.items()
    references[name] = replace(row, connection_id="")
    return f"connection_reference:{name}"


def turn_child_off(scenario: Scenario, _: FakeFlow) -> str:
    """Somebody turns off the child that the copy runs, itself a copy."""
    child = next(flow for flow in scenario.world.flows() if flow.name == "Child (CMK)")
    turn_off(scenario.world, child)
    return f"child:{child.workflow_id}"


def turn_shared_child_off(scenario: Scenario, _: FakeFlow) -> str:
    """Somebody turns off a child that both run: neither of the two could be started any more."""
    child = next(flow for flow in scenario.world.flows() if flow.name == "Other child")
    turn_off(scenario.world, child)
    return f"child:{child.workflow_id}"


def delete_child(scenario: Scenario, _: FakeFlow) -> str:
    """Somebody deletes a child that both run."""
    child = next(flow for flow in scenario.world.flows() if flow.name == "Other child")
    delete(scenario.world, child)
    return f"child:{child.workflow_id}"


def let_licence_lapse(scenario: Scenario, flow: FakeFlow) -> str:
    """The owner's licence is taken away: the flow runs on."""
    scenario.build.owner.has_premium = False
    return f"licence:{flow.workflow_id}"


type Cause = Callable[[Scenario, FakeFlow], str]
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


def self_starting(scenario: Scenario, cause: Cause) -> FakeFlow:
    """Add a flow that starts by itself and can fall to this cause."""
    if cause in {turn_child_off, turn_shared_child_off, delete_child}:
        other = scenario.build.flow("Other child", define.request_trigger("Button"))
        return scenario.build.parent("Flow", scenario.build.http_flow("Child"), other)
    if cause is let_licence_lapse:
        return scenario.build.flow(
            "Flow",
            define.connector_trigger("shared_teams", "WebhookKeywordTrigger", is_webhook=True),
            {"Post": define.http_action("https://erp.example/orders")},
            connections={"teams-maker": "shared_teams"},
        )
    return scenario.build.keyword_flow("Flow")


async def about_to(scenario: Scenario, state: FlowJobState) -> None:
    """Let the job of `Flow` come to a state; what it calls is not what is looked at here."""
    scenario.build.link()
    scenario.build.share_connections()
    gaps = {"service_tag:powerplatformplex": "not in this tenant"}
    await scenario.opt_in(ignored_issues=gaps)
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    await scenario.until("Flow", state)


@pytest.mark.parametrize("cause", ALL)
async def test_a_swap_that_a_look_foretells_to_fail_never_begins(cause: Cause) -> None:
    """The original is not stopped for a moment, and the row says what to do, by its name."""
    scenario = Scenario()
    flow = self_starting(scenario, cause)
    await about_to(scenario, FlowJobState.VERIFIED)
    name = cause(scenario, flow)

    await scenario.run(DAY)

    job = await scenario.job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL), (
        job.message
    )
    assert f"[{name}]" in job.message
    assert job.fix
    switches = [one.state for one in scenario.world.switches if one.workflow_id == flow.workflow_id]
    assert FlowState.OFF not in switches


async def test_a_licence_that_has_lapsed_may_be_accepted_by_name() -> None:
    """A person chose: the swap begins, is refused, and the app goes on trying to start either."""
    scenario = Scenario()
    flow = self_starting(scenario, let_licence_lapse)
    await about_to(scenario, FlowJobState.VERIFIED)
    name = let_licence_lapse(scenario, flow)
    await scenario.run(DAY)

    await ignore_issue(scenario.services, flow.environment_id, name, "a licence is on its way")
    await scenario.run(DAY)
    assert (await scenario.job("Flow")).reason_code == Reason.BOTH_OFF

    scenario.build.owner.has_premium = True
    await scenario.run(DAY)
    assert flow.is_on


async def test_a_called_original_is_not_retired_whose_licence_has_lapsed() -> None:
    """It runs on, and could not be turned on again: a rollback would be an empty promise."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Flow")
    await about_to(scenario, FlowJobState.CHECKING_FOR_CALLS)
    scenario.build.owner.has_premium = False

    await scenario.run(timedelta(days=60))
    job = await scenario.job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert (orders.is_on, orders.name) == (True, "Flow")

    await ignore_issue(
        scenario.services, orders.environment_id, f"licence:{orders.workflow_id}", "fine"
    )
    await scenario.run(timedelta(days=60))
    assert (await scenario.job("Flow")).state is FlowJobState.RETIRED


async def test_a_copy_is_not_stopped_for_an_original_that_could_not_start() -> None:
    """The rollback of a swap looks too, before it begins."""
    scenario = Scenario()
    flow = self_starting(scenario, let_licence_lapse)
    await about_to(scenario, FlowJobState.MONITORING)
    scenario.build.owner.has_premium = False

    await scenario.roll_back(replay=True)

    job = await scenario.job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert scenario.world.workflow(flow.environment_id, job.copy_id).is_on
    assert not flow.is_on


async def test_one_list_of_connections_serves_several_flows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds every connection of the environment, and is the same for all of its flows."""
    scenario = Scenario()
    names = [f"Flow {number}" for number in range(4)]
    for name in names:
        scenario.build.keyword_flow(name)
    lists = 0
    listed = FakeConnections.errors

    async def counted(fake: FakeConnections, environment_id: str) -> dict[str, str]:
        nonlocal lists
        lists += 1
        return await listed(fake, environment_id)

    monkeypatch.setattr(FakeConnections, "errors", counted)
    scenario.build.link()
    scenario.build.share_connections()
    await scenario.opt_in(ignored_issues={"service_tag:powerplatformplex": "not in this tenant"})
    await scenario.order()
    await scenario.approve(run=DAY)

    states = {(await scenario.job(name)).step for name in names}
    assert states == {FlowJobState.MONITORING}
    assert 1 <= lists < len(names)


async def test_what_the_app_is_not_shown_stops_nothing() -> None:
    """No list of connections, no word on a licence: the plan has said that it is not known."""
    scenario = Scenario()
    self_starting(scenario, let_licence_lapse)
    await about_to(scenario, FlowJobState.VERIFIED)
    scenario.build.environment.connections.clear()
    scenario.world.tells_licences = False

    await scenario.until("Flow", FlowJobState.CUTTING_OVER)


async def test_the_plan_says_what_no_look_can_tell() -> None:
    """An approval accepts it. Of a flow in no solution it is more, of one that is off nothing."""
    scenario = Scenario()
    scenario.build.http_flow("In a solution")
    scenario.build.mail_flow("In none")
    scenario.build.off_flow("Off")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()

    plan = await scenario.plan()
    inside, outside = set(plan["In a solution"].unknowns), set(plan["In none"].unknowns)
    assert inside < outside
    assert "turn it on again" in " ".join(outside - inside)
    assert plan["Off"].unknowns == ()
