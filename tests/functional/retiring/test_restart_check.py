"""Test that the app turns a flow off only if it could turn the flow on again."""

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
    scenario.build.owner.is_disabled = True
    return f"owner:{scenario.build.owner.user_id}"


def break_connection(scenario: Scenario, _: FakeFlow) -> str:
    (connection,) = scenario.build.environment.connections.values()
    connection.error = "The token has expired"
    return f"connection:{connection.name}"


def delete_connection(scenario: Scenario, _: FakeFlow) -> str:
    (connection,) = scenario.build.environment.connections.values()
    scenario.build.add_connection("another", "shared_sql", owner=scenario.build.owner)
    del scenario.build.environment.connections[connection.name]
    return f"connection:{connection.name}"


def unbind_connection(scenario: Scenario, _: FakeFlow) -> str:
    references = scenario.build.environment.connection_references
    ((name, row),) = references.items()
    references[name] = replace(row, connection_id="")
    return f"connection_reference:{name}"


def turn_child_off(scenario: Scenario, _: FakeFlow) -> str:
    child = next(flow for flow in scenario.world.list_flows() if flow.name == "Child (CMK)")
    turn_off(scenario.world, child)
    return f"child:{child.workflow_id}"


def turn_shared_child_off(scenario: Scenario, _: FakeFlow) -> str:
    """Turn off a child that both original and copy run, so that neither of them can be turned
    on.
    """
    child = next(flow for flow in scenario.world.list_flows() if flow.name == "Other child")
    turn_off(scenario.world, child)
    return f"child:{child.workflow_id}"


def delete_child(scenario: Scenario, _: FakeFlow) -> str:
    child = next(flow for flow in scenario.world.list_flows() if flow.name == "Other child")
    delete(scenario.world, child)
    return f"child:{child.workflow_id}"


def expire_licence(scenario: Scenario, flow: FakeFlow) -> str:
    """Remove the owner's licence. The flow stays on until somebody turns it off."""
    scenario.build.owner.has_premium = False
    return f"licence:{flow.workflow_id}"


type Cause = Callable[[Scenario, FakeFlow], str]
ALL: list[Cause] = [
    disable_owner,
    break_connection,
    delete_connection,
    unbind_connection,
    turn_child_off,
    turn_shared_child_off,
    delete_child,
    expire_licence,
]


def add_self_starting_flow(scenario: Scenario, cause: Cause) -> FakeFlow:
    """Add a self-starting flow that this cause can keep from being turned on."""
    if cause in {turn_child_off, turn_shared_child_off, delete_child}:
        other = scenario.build.add_flow("Other child", define.build_request_trigger("Button"))
        return scenario.build.add_parent("Flow", scenario.build.add_http_flow("Child"), other)
    if cause is expire_licence:
        return scenario.build.add_flow(
            "Flow",
            define.build_connector_trigger(
                "shared_teams", "WebhookKeywordTrigger", is_webhook=True
            ),
            {"Post": define.build_http_action("https://erp.example/orders")},
            connections={"teams-maker": "shared_teams"},
        )
    return scenario.build.add_keyword_flow("Flow")


async def run_until_state(scenario: Scenario, state: FlowJobState) -> None:
    """Run the job of `Flow` until this state, with the tenant's firewall issue ignored."""
    scenario.build.apply_key()
    scenario.build.share_connections()
    gaps = {"service_tag:powerplatformplex": "not in this tenant"}
    await scenario.start_remediation(ignored_issues=gaps)
    await scenario.approve_and_run_until("Flow", state)


@pytest.mark.parametrize("cause", ALL)
async def test_cutover_that_would_fail_does_not_start(cause: Cause) -> None:
    scenario = Scenario()
    flow = add_self_starting_flow(scenario, cause)
    await run_until_state(scenario, FlowJobState.VERIFIED)
    name = cause(scenario, flow)

    await scenario.run(DAY)

    job = await scenario.read_job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL), (
        job.message
    )
    assert f"[{name}]" in job.message
    assert job.fix
    switches = [one.state for one in scenario.world.switches if one.workflow_id == flow.workflow_id]
    assert FlowState.OFF not in switches


async def test_expired_licence_can_be_ignored_by_name() -> None:
    scenario = Scenario()
    flow = add_self_starting_flow(scenario, expire_licence)
    await run_until_state(scenario, FlowJobState.VERIFIED)
    name = expire_licence(scenario, flow)
    await scenario.run(DAY)

    await ignore_issue(scenario.services, flow.environment_id, name, "a licence is on its way")
    await scenario.run(DAY)
    assert (await scenario.read_job("Flow")).reason_code == Reason.BOTH_OFF

    scenario.build.owner.has_premium = True
    await scenario.run(DAY)
    assert flow.is_on


async def test_called_original_with_an_expired_licence_is_not_retired() -> None:
    """A rollback could not turn the original on again."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Flow")
    await run_until_state(scenario, FlowJobState.CHECKING_FOR_CALLS)
    scenario.build.owner.has_premium = False

    await scenario.run(timedelta(days=60))
    job = await scenario.read_job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert (orders.is_on, orders.name) == (True, "Flow")

    await ignore_issue(
        scenario.services, orders.environment_id, f"licence:{orders.workflow_id}", "fine"
    )
    await scenario.run(timedelta(days=60))
    assert (await scenario.read_job("Flow")).state is FlowJobState.RETIRED


async def test_rollback_keeps_the_copy_on_if_the_original_cannot_start() -> None:
    scenario = Scenario()
    flow = add_self_starting_flow(scenario, expire_licence)
    await run_until_state(scenario, FlowJobState.MONITORING)
    scenario.build.owner.has_premium = False

    await scenario.roll_back(replay=True)

    job = await scenario.read_job("Flow")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.START_WOULD_FAIL)
    assert scenario.world.get_workflow(flow.environment_id, job.copy.id).is_on
    assert not flow.is_on


async def test_flows_share_one_list_of_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = Scenario()
    names = [f"Flow {number}" for number in range(4)]
    for name in names:
        scenario.build.add_keyword_flow(name)
    lists = 0
    listed = FakeConnections.read_errors

    async def count_and_list(fake: FakeConnections, environment_id: str) -> dict[str, str]:
        nonlocal lists
        lists += 1
        return await listed(fake, environment_id)

    monkeypatch.setattr(FakeConnections, "read_errors", count_and_list)
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.start_remediation(
        ignored_issues={"service_tag:powerplatformplex": "not in this tenant"}
    )
    await scenario.approve(run=DAY)

    states = {(await scenario.read_job(name)).step for name in names}
    assert states == {FlowJobState.MONITORING}
    assert 1 <= lists < len(names)


async def test_cutover_starts_if_connections_and_licence_cannot_be_read() -> None:
    scenario = Scenario()
    add_self_starting_flow(scenario, expire_licence)
    await run_until_state(scenario, FlowJobState.VERIFIED)
    scenario.build.environment.connections.clear()
    scenario.world.tells_licences = False

    await scenario.run_until("Flow", FlowJobState.CUTTING_OVER)


async def test_plan_lists_unknowns_about_a_restart() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("In a solution")
    scenario.build.add_mail_flow("In none")
    scenario.build.add_off_flow("Off")
    scenario.build.apply_key()
    await scenario.start_remediation()

    plan = await scenario.plan()
    inside, outside = set(plan["In a solution"].unknowns), set(plan["In none"].unknowns)
    assert inside < outside
    assert "turn it on again" in " ".join(outside - inside)
    assert plan["Off"].unknowns == ()
