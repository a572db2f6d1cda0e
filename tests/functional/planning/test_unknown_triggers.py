"""A trigger that the app does not know: unknown everywhere, and swapped on a person's word only."""

from datetime import timedelta

from shared.domain.assessment.assessment import AssessmentTopic
from shared.domain.finding import FindingLevel
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.definition_builder import request_trigger
from tests.fakes.flow_service import turn_off
from tests.fakes.tenant import FakeFlow
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.remediation_scenario import Scenario, planned

RIDDLE = request_trigger("NobodyKnows")


def riddle(scenario: Scenario) -> FakeFlow:
    """Add such a flow, which runs one that stays: so it stays too."""
    return scenario.build.parent("Riddle", scenario.build.http_flow("Orders"), trigger=RIDDLE)


async def test_nobody_swaps_it_before_a_person_has_named_it() -> None:
    """The plan says what is not known and what to do; named, it is planned like a swap."""
    scenario = Scenario()
    flow = riddle(scenario)
    await planned(scenario)
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
    assert (await scenario.job("Riddle")).state is FlowJobState.RETIRED


async def test_a_flow_that_is_off_waits_for_a_person_too() -> None:
    """It may be turned on while its copy is made, and would be swapped then."""
    scenario = Scenario()
    turn_off(scenario.world, riddle(scenario))
    await planned(scenario)

    assert (await scenario.plan())["Riddle"].action is PlannedAction.NEEDS_CHANGES


async def test_a_trigger_that_becomes_unknown_stops_the_job() -> None:
    """Somebody edits the flow between its approval and its copy, and has that taken over."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    await planned(scenario)
    await scenario.approve(run=timedelta(0))
    await scenario.until("Orders", FlowJobState.COPYING)
    orders.client_data = orders.client_data.replace('"kind": "Http"', '"kind": "NobodyKnows"')
    orders.version += 1
    await scenario.run(timedelta(hours=1))
    blocked = await scenario.job("Orders")

    await scenario.retry()

    assert (blocked.reason_code, blocked.category) == ("original_edited", "http")
    assert (await scenario.job("Orders")).reason_code == "trigger_changed"


async def test_an_assessment_does_not_know_whether_it_moves() -> None:
    """Neither does it know of the flows that run it; nothing is said to move by itself."""
    tenant = Assessed()
    flow = tenant.build.flow("Riddle", RIDDLE)
    tenant.build.parent("Above", flow)

    await tenant.assess()

    assert {name: one.stays_on_microsoft_key for name, one in tenant.flows.items()} == {
        "Riddle": None,
        "Above": None,
    }
    assert tenant.flows["Riddle"].category == "unknown"
    assert "does not know its trigger" in tenant.flows["Riddle"].message
    finding = tenant.finding(AssessmentTopic.FLOWS, "flows_staying")
    assert (finding.level, finding.message[:7]) == (FindingLevel.UNKNOWN, "2 of 2 ")
