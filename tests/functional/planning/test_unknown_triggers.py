from datetime import timedelta

from shared.domain.assessment.assessment import AssessmentTopic
from shared.domain.finding import FindingLevel
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.definition_builder import build_request_trigger
from tests.fakes.flow_service import turn_off
from tests.fakes.tenant import FakeFlow
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

RIDDLE = build_request_trigger("NobodyKnows")


def add_flow_with_unknown_trigger(scenario: Scenario) -> FakeFlow:
    return scenario.build.add_parent(
        "Riddle", scenario.build.add_http_flow("Orders"), trigger=RIDDLE
    )


async def test_flow_with_an_unknown_trigger_is_cut_over_only_if_named() -> None:
    scenario = Scenario()
    flow = add_flow_with_unknown_trigger(scenario)
    await plan_remediation(scenario)
    unnamed = (await scenario.plan())["Riddle"]

    await scenario.order(RemediationMode.APPLY, flow.workflow_id, cause="named")
    named = (await scenario.plan())["Riddle"]
    await scenario.approve()

    assert (unnamed.action, unnamed.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
    assert "does not know its trigger" in unnamed.message
    assert f"--flow {flow.workflow_id}" in unnamed.fix
    assert (named.action, named.migration_method) == (
        PlannedAction.CUT_OVER,
        MigrationMethod.CUT_OVER,
    )
    assert (await scenario.read_job("Riddle")).state is FlowJobState.RETIRED


async def test_flow_with_an_unknown_trigger_that_is_off_needs_a_person() -> None:
    """The flow may be turned on later."""
    scenario = Scenario()
    turn_off(scenario.world, add_flow_with_unknown_trigger(scenario))
    await plan_remediation(scenario)

    assert (await scenario.plan())["Riddle"].action is PlannedAction.NEEDS_CHANGES


async def test_job_is_blocked_if_the_trigger_becomes_unknown() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.COPYING)
    orders.client_data = orders.client_data.replace('"kind": "Http"', '"kind": "NobodyKnows"')
    orders.version += 1
    await scenario.run(timedelta(hours=1))
    blocked = await scenario.read_job("Orders")

    await scenario.retry()

    assert (blocked.reason_code, blocked.original.category) == ("original_edited", "http")
    assert (await scenario.read_job("Orders")).reason_code == "trigger_changed"


async def test_assessment_of_a_flow_with_an_unknown_trigger_is_unknown() -> None:
    tenant = Assessed()
    flow = tenant.build.add_flow("Riddle", RIDDLE)
    tenant.build.add_parent("Above", flow)

    await tenant.assess()

    assert {name: one.stays_on_microsoft_key for name, one in tenant.flows.items()} == {
        "Riddle": None,
        "Above": None,
    }
    assert tenant.flows["Riddle"].category == "unknown"
    assert "does not know its trigger" in tenant.flows["Riddle"].message
    finding = tenant.require_finding(AssessmentTopic.FLOWS, "flows_staying")
    assert (finding.level, finding.message[:7]) == (FindingLevel.UNKNOWN, "2 of 2 ")
