from datetime import timedelta

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.steps.flows.write_definition import is_stored_definition
from tests.fakes import definition_builder as define
from tests.fakes.definitions import parse_facts
from tests.functional.preparing.prepare_scenario import (
    PREPARE,
    add_input_flow,
    list_microsoft_key_flows,
)
from tests.functional.scenarios.remediation_scenario import Scenario

HOUR = timedelta(hours=1)


async def test_trigger_of_a_named_flow_is_converted() -> None:
    """Dataverse can write only flows in solutions."""
    scenario = Scenario()
    app = add_input_flow(scenario)
    scenario.build.add_power_apps_v1_flow("Other")
    await scenario.opt_in()
    await scenario.order(PREPARE, app.workflow_id)
    plan = await scenario.plan()

    await scenario.approve(run=HOUR)

    assert plan.keys() == {"App"}
    assert plan["App"].action is PlannedAction.CONVERT_TRIGGER
    assert "add it again" in plan["App"].fix
    assert len(plan["App"].planned_changes) == 2
    job = await scenario.read_job("App")
    assert (job.state, job.migration_method) == (
        FlowJobState.PREPARED,
        MigrationMethod.EDIT_DEFINITION,
    ), job.history
    assert job.conversions == (ConversionKind.POWER_APPS_TRIGGER,)
    assert parse_facts(app.client_data).trigger_kind == "PowerAppV2"
    assert "triggerBody()?['text']" in app.client_data
    assert app.is_on
    assert await list_microsoft_key_flows(scenario) == {"Other"}


async def test_action_of_a_named_flow_is_converted() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.flow_name)
    plan = await scenario.plan()

    await scenario.approve(run=HOUR)

    assert plan["Admin"].action is PlannedAction.EDIT_ACTION
    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED
    assert "ListFlowsInEnvironment_V2" in admin.client_data
    assert [write.what for write in scenario.world.writes] == ["update workflow"]
    assert await list_microsoft_key_flows(scenario) == set()


async def test_flow_with_an_unconvertible_expression_needs_changes() -> None:
    scenario = Scenario()
    reads = {"type": "Compose", "inputs": "@body('List')?['value'][0]?['properties/creator']"}
    actions = {
        "List": define.build_connector_action("shared_flowmanagement", "ListFlowsInEnvironment"),
        "Read": reads,
    }
    admin = scenario.build.add_flow(
        "Admin",
        define.build_recurrence_trigger(),
        actions,
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    await scenario.opt_in()

    await scenario.order(PREPARE, admin.workflow_id)

    item = (await scenario.plan())["Admin"]
    assert item.action is PlannedAction.NEEDS_CHANGES
    assert "properties/creator" in item.message
    assert "properties/creator" in item.conversion_preview
    assert scenario.world.writes == []


async def test_action_of_a_named_flow_is_converted_although_a_key_is_applied() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    scenario.build.apply_key()
    await scenario.start_remediation()
    unnamed = (await scenario.plan())["Admin"]

    await scenario.order(RemediationMode.APPLY, admin.workflow_id, cause="named")
    named = (await scenario.plan())["Admin"]
    await scenario.approve(run=HOUR)

    assert unnamed.action is PlannedAction.NEEDS_CHANGES
    assert named.action is PlannedAction.EDIT_ACTION
    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED
    assert await list_microsoft_key_flows(scenario) == set()


async def test_named_flow_with_both_reasons_gets_both_conversions() -> None:
    scenario = Scenario()
    app = scenario.build.add_flow(
        "Both",
        define.build_request_trigger("PowerApp"),
        {"List": define.build_connector_action("shared_flowmanagement", "ListFlowsInEnvironment")},
        in_solution=False,
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    await scenario.opt_in()
    await scenario.order(PREPARE)
    unnamed = (await scenario.plan())["Both"]

    await scenario.order(PREPARE, app.workflow_id, cause="named")
    await scenario.approve(run=HOUR)

    assert unnamed.action is PlannedAction.NEEDS_CHANGES
    assert (await scenario.read_job("Both")).state is FlowJobState.PREPARED
    assert await list_microsoft_key_flows(scenario) == set()


async def test_older_connector_format_is_converted_if_the_platform_rejects_it() -> None:
    scenario = Scenario()
    older = define.build_connector_action("shared_flowmanagement", "ListFlowsInEnvironment")
    older["inputs"]["authentication"] = "@parameters('$authentication')"
    admin = scenario.build.add_flow(
        "Admin",
        define.build_recurrence_trigger(),
        {"List": older},
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    before = admin.client_data
    scenario.world.assumptions.older_host_shapes_refused = True
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)

    await scenario.approve(run=HOUR)

    job = await scenario.read_job("Admin")
    assert job.state is FlowJobState.PREPARED, (job.message, job.history)
    assert "ListFlowsInEnvironment_V2" in admin.client_data
    assert "$authentication')" not in admin.client_data

    await scenario.roll_back(run=HOUR)

    assert (await scenario.read_job("Admin")).state is FlowJobState.ROLLED_BACK
    assert is_stored_definition(admin.client_data, before)
