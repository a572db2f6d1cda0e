from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment_records import ShapeDemand
from shared.domain.flow import WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError
from shared.reason import Reason
from tests.fakes import definition_builder as define
from tests.fakes.crash import Killed
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.rejected_saves import get_references, refuse_saves
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

HOUR = timedelta(hours=1)
MAIL = "shared_office365"
AUTHENTICATION = "@parameters('$authentication')"


def add_caller(scenario: Scenario, uri: str, name: str = "Caller") -> FakeFlow:
    """Add a flow in the older connector format that posts to an address."""
    mail = define.build_connector_action(MAIL, "SendEmailV2")
    mail["inputs"]["authentication"] = AUTHENTICATION
    flow = scenario.build.add_flow(
        name,
        define.build_request_trigger("Button"),
        {"Post": define.build_http_action(uri), "Mail": mail},
        connections={"mail-1": MAIL},
    )
    scenario.build.add_starter(flow)
    return flow


def build_scenario_of_caller(**assumptions: Any) -> tuple[Scenario, FakeFlow]:
    """Return a scenario in which a flow in the older format calls `Orders`."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    flow = add_caller(scenario, scenario.build.get_trigger_url(orders))
    enable_harmful_rejections(scenario, **assumptions)
    return scenario, flow


def build_scenario_of_variable(**assumptions: Any) -> tuple[Scenario, FakeFlow]:
    """Return a scenario in which a flow in the older format reads the URL of `Orders` from a
    variable.
    """
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_variable_caller(orders)
    flow = add_caller(scenario, define.build_variable_expression("con_FlowUrl"), "User")
    enable_harmful_rejections(scenario, **assumptions)
    return scenario, flow


def enable_harmful_rejections(scenario: Scenario, **assumptions: Any) -> None:
    """Make rejected saves remove the connection references of the flow."""
    wanted = {"refused_saves_wipe_references": True, **assumptions}
    for name, value in wanted.items():
        setattr(scenario.world.assumptions, name, value)


async def update_callers(scenario: Scenario) -> None:
    """Start and approve a remediation, and run the app for an hour."""
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)


SCENARIOS = pytest.mark.parametrize("make", [build_scenario_of_caller, build_scenario_of_variable])


@SCENARIOS
async def test_flow_is_saved_in_the_format_that_the_platform_requires(make: Any) -> None:
    scenario, flow = make(older_host_shapes_refused=True)
    before = get_references(flow)

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    assert get_references(flow) == before
    assert AUTHENTICATION not in flow.client_data.replace("\\u0027", "'")
    assert_nothing_lost(scenario)

    await scenario.roll_back()

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert get_references(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_flow_is_converted_first_if_the_requirement_is_recorded(make: Any) -> None:
    scenario, flow = make(older_host_shapes_refused=True)
    demand = ShapeDemand(environment_id=flow.environment_id, seen=scenario.services.now)
    await scenario.services.tables.shape_demands.upsert(demand)

    await update_callers(scenario)

    assert (await scenario.read_job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@SCENARIOS
async def test_format_requirement_of_an_environment_is_recorded(make: Any) -> None:
    scenario, flow = make(older_host_shapes_refused=True)

    await update_callers(scenario)

    kept = await scenario.services.tables.shape_demands.get("shape", flow.environment_id)
    assert kept is not None
    assert kept.item.lasts(scenario.services.now)


@SCENARIOS
async def test_references_removed_by_a_rejected_save_are_restored(make: Any) -> None:
    scenario, flow = make()
    before = flow.client_data
    refuse_saves(scenario, flow, wipes=1)

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "Strange")
    assert f"flow {flow.name} cannot be saved" in job.message
    assert flow.client_data == before
    assert_nothing_lost(scenario)


async def test_flow_whose_save_is_forbidden_is_named() -> None:
    scenario, flow = build_scenario_of_variable()
    refuse_saves(scenario, flow, wipes=1, error=PlatformError("no", code="Strange", status=403))

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "Strange")
    assert f"flow {flow.name} cannot be saved" in job.message


@SCENARIOS
async def test_fix_names_references_that_cannot_be_restored(make: Any) -> None:
    scenario, flow = make()
    refuse_saves(scenario, flow, wipes=99)

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "shared_office365 (mail-1)" in job.message
    assert f"Open the flow {flow.name}" in job.fix
    assert get_references(flow) == {}


@SCENARIOS
async def test_references_are_restored_after_a_killed_invocation(make: Any) -> None:
    scenario, flow = make()
    before = get_references(flow)
    left = refuse_saves(scenario, flow, wipes=1, error=Killed())

    await update_callers(scenario)

    assert left == []
    assert (await scenario.read_job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert get_references(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_job_waits_if_a_save_is_rejected_temporarily(make: Any) -> None:
    scenario, flow = make(unpublished_row_seconds=240)
    before = get_references(flow)

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    assert get_references(flow) == before
    assert_nothing_lost(scenario)


@SCENARIOS
async def test_job_is_blocked_with_a_fix_if_the_rejection_lasts(make: Any) -> None:
    scenario, _ = make(unpublished_row_seconds=24 * 3600)

    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=12))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "0x80040203")
    assert "Turn the flow off and on" in job.fix


@SCENARIOS
async def test_fix_for_an_unknown_reference_is_a_new_import(make: Any) -> None:
    scenario, flow = make()
    flow.stamped_reference = "new_sharedoffice365_1"

    await update_callers(scenario)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "export, delete and import it" in job.fix


async def test_caller_is_saved_on_behalf_of_its_owner() -> None:
    """The owner of the flow may use its connection."""
    scenario, flow = build_scenario_of_caller()
    scenario.build.apply_key()
    await scenario.start_remediation()

    await scenario.approve(run=HOUR)

    assert (await scenario.read_job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert flow.references_wiped == 0


@pytest.mark.parametrize("lag", ["list_lag_seconds", "read_lag_seconds"])
async def test_flow_saved_recently_by_a_person_gets_the_new_value(lag: str) -> None:
    scenario, flow = build_scenario_of_variable()
    await plan_remediation(scenario)
    setattr(scenario.world.assumptions, lag, (60, 60))
    environment = scenario.build.environment.build_environment()
    change = WorkflowUpdate(client_data=flow.client_data)
    await scenario.approve(run=timedelta(0))
    await scenario.services.workflows.update(environment, flow.workflow_id, change, etag="*")

    await scenario.run(12 * HOUR)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    runs = len(copy.runs)
    scenario.world.traffic.beat(scenario.world)
    assert len(copy.runs) == runs + 2  # of both flows that use the variable
    assert_nothing_lost(scenario)
