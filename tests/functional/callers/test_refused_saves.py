"""Saves of calling flows that the platform rejects, removing connection references or not."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.shape_demand import ShapeDemand
from shared.reason import Reason
from tests.fakes import definition_builder as define
from tests.fakes.crash import Killed
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.refused_saves import references_of, refuse_saves
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.watched_scenario import assert_nothing_lost, planned

HOUR = timedelta(hours=1)
MAIL = "shared_office365"
AUTHENTICATION = "@parameters('$authentication')"


def caller(scenario: Scenario, uri: str, name: str = "Caller") -> FakeFlow:
    """Add a button flow in the older connector shape that posts to an address and sends a mail."""
    mail = define.connector_action(MAIL, "SendEmailV2")
    mail["inputs"]["authentication"] = AUTHENTICATION
    flow = scenario.build.flow(
        name,
        define.request_trigger("Button"),
        {"Post": define.http_action(uri), "Mail": mail},
        connections={"mail-1": MAIL},
    )
    scenario.build.starter(flow)
    return flow


def scenario_of_caller(**assumptions: Any) -> tuple[Scenario, FakeFlow]:
    """Return a scenario of one flow with one such caller, on a platform that harms what it
    refuses.
    """
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    flow = caller(scenario, scenario.build.url_of(orders))
    harmful(scenario, **assumptions)
    return scenario, flow


def scenario_of_variable(**assumptions: Any) -> tuple[Scenario, FakeFlow]:
    """Return a scenario whose caller reads the URL from an environment variable."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    scenario.build.variable_caller(orders)
    flow = caller(scenario, define.variable_expression("con_FlowUrl"), "User")
    harmful(scenario, **assumptions)
    return scenario, flow


def harmful(scenario: Scenario, **assumptions: Any) -> None:
    """Let rejected saves remove the connection references of a flow."""
    wanted = {"refused_saves_wipe_references": True, **assumptions}
    for name, value in wanted.items():
        setattr(scenario.world.assumptions, name, value)


async def moved(scenario: Scenario) -> None:
    """Start and approve a remediation, and let it update the callers."""
    await planned(scenario)
    await scenario.approve(run=HOUR)


SCENARIOS = pytest.mark.parametrize("make", [scenario_of_caller, scenario_of_variable])


@SCENARIOS
async def test_a_flow_is_saved_in_the_shape_that_the_platform_demands(make: Any) -> None:
    """The flow keeps its references, calls the copy, and calls the original after a rollback."""
    scenario, flow = make(older_host_shapes_refused=True)
    before = references_of(flow)

    await moved(scenario)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    assert references_of(flow) == before
    assert AUTHENTICATION not in flow.client_data.replace("\\u0027", "'")
    assert_nothing_lost(scenario)

    await scenario.roll_back()

    assert (await scenario.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert references_of(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_a_flow_is_converted_first_where_that_is_known_to_be_demanded(make: Any) -> None:
    """The app converts the flow before its first save, so no save is rejected."""
    scenario, flow = make(older_host_shapes_refused=True)
    demand = ShapeDemand(environment_id=flow.environment_id, seen=scenario.services.now)
    await scenario.services.tables.shape_demands.upsert(demand)

    await moved(scenario)

    assert (await scenario.job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@SCENARIOS
async def test_a_demand_that_was_seen_is_remembered(make: Any) -> None:
    """The app records the environment's demand, so that it converts the next flow first."""
    scenario, flow = make(older_host_shapes_refused=True)

    await moved(scenario)

    kept = await scenario.services.tables.shape_demands.get("shape", flow.environment_id)
    assert kept is not None
    assert kept.item.lasts(scenario.services.now)


@SCENARIOS
async def test_what_a_refused_save_removed_is_restored(make: Any) -> None:
    """The job is blocked, names the flow, and has restored its connection references."""
    scenario, flow = make()
    before = flow.client_data
    refuse_saves(scenario, flow, wipes=1)

    await moved(scenario)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "Strange")
    assert f"flow {flow.name} cannot be saved" in job.message
    assert flow.client_data == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_what_cannot_be_restored_is_named(make: Any) -> None:
    """The fix names the flow and the connection references that are missing in it."""
    scenario, flow = make()
    refuse_saves(scenario, flow, wipes=99)

    await moved(scenario)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "shared_office365 (mail-1)" in job.message
    assert f"Open the flow {flow.name}" in job.fix
    assert references_of(flow) == {}


@SCENARIOS
async def test_what_a_dead_delivery_left_removed_is_restored_later(make: Any) -> None:
    """If the process dies after the rejected save, the app restores the references later."""
    scenario, flow = make()
    before = references_of(flow)
    left = refuse_saves(scenario, flow, wipes=1, error=Killed())

    await moved(scenario)

    assert left == []
    assert (await scenario.job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert references_of(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_a_refusal_that_passes_is_waited_for(make: Any) -> None:
    """A save that is rejected because a row is not published yet succeeds some minutes later."""
    scenario, flow = make(unpublished_row_seconds=240)
    before = references_of(flow)

    await moved(scenario)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    assert references_of(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_a_refusal_that_should_pass_and_does_not_has_an_instruction(make: Any) -> None:
    """After some tries the job is blocked with the platform's code."""
    scenario, _ = make(unpublished_row_seconds=24 * 3600)

    await planned(scenario)
    await scenario.approve(run=timedelta(hours=12))

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "0x80040203")
    assert "Turn the flow off and on" in job.fix


@SCENARIOS
async def test_a_reference_that_nobody_sent_has_an_instruction(make: Any) -> None:
    """The platform rejects every save of this flow, and the fix is to import it again."""
    scenario, flow = make()
    flow.stamped_reference = "new_sharedoffice365_1"

    await moved(scenario)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "export, delete and import it" in job.fix


async def test_a_caller_is_saved_for_its_owner() -> None:
    """The app saves the flow on behalf of its owner, who may use its connection."""
    scenario, flow = scenario_of_caller()
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()

    await scenario.approve(run=HOUR)

    assert (await scenario.job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@pytest.mark.parametrize("lag", ["list_lag_seconds", "read_lag_seconds"])
async def test_a_flow_that_was_saved_a_moment_ago_takes_the_new_value_over(lag: str) -> None:
    """While reads or lists lag behind a person's save, the app still saves the flow."""
    scenario, flow = scenario_of_variable()
    await planned(scenario)
    setattr(scenario.world.assumptions, lag, (60, 60))
    environment = scenario.build.environment.described()
    change = WorkflowUpdate(client_data=flow.client_data)
    await scenario.approve(run=timedelta(0))
    await scenario.services.workflows.update(environment, flow.workflow_id, change, etag="*")

    await scenario.run(12 * HOUR)

    job = await scenario.job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    copy = scenario.world.workflow(job.environment_id, job.copy_id)
    runs = len(copy.runs)
    scenario.world.traffic.beat(scenario.world)
    assert len(copy.runs) == runs + 2  # of both flows that use the variable
    assert_nothing_lost(scenario)
