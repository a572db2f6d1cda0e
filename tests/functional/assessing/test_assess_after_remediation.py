from dataclasses import replace
from datetime import timedelta

from cmkflow.assessment_answer import format_answer_about_key
from functions.assessments_api import show_assessment
from shared.bootstrap import provide
from shared.domain.assessment.assessment import (
    AssessmentTopic,
    EnvironmentAssessment,
    RemediationStatus,
)
from shared.domain.finding import FindingLevel
from shared.domain.flow import FlowState
from shared.ports import UpsertRow
from shared.use_cases.assess import assess_environment
from tests.functional.deleting.deletion_scenario import (
    build_retired_scenario,
    find_original,
    request_deletions,
)
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation


async def run_assessment(scenario: Scenario) -> EnvironmentAssessment:
    return await assess_environment(scenario.services, scenario.build.environment.id)


def list_statuses(found: EnvironmentAssessment) -> dict[str, RemediationStatus]:
    return {flow.display_name.split()[0]: flow.remediation_status for flow in found.flows}


async def test_retired_originals_with_working_copies_need_no_remediation() -> None:
    scenario = await build_retired_scenario()
    scenario.build.add_http_flow("Invoices")

    found = await run_assessment(scenario)

    assert list_statuses(found) == {
        "Orders": RemediationStatus.RETIRED,
        "Invoices": RemediationStatus.NOT_STARTED,
    }
    assert found.estimate.copies == 1
    (retired,) = (flow for flow in found.flows if flow.display_name.startswith("Orders"))
    assert retired.remediation_id == scenario.remediation.id
    command = f"cmkflow deletion schedule {scenario.remediation.id} --date DATE"
    assert retired.recommendations == (
        f"A retired original remains until you delete it: `{command}`.",
    )
    texts = [one.message for section in found.sections for one in section.findings]
    assert "1 of 3 cloud flows stays on Microsoft's key." in texts
    assert "1 of 3 cloud flows is a retired original on Microsoft's key; its copy works." in texts


async def test_api_and_answer_after_a_complete_remediation() -> None:
    scenario = await build_retired_scenario()
    provide(scenario.services)

    reply = await call(show_assessment, id=scenario.build.environment.id)

    (flow,) = reply.document["flows"]
    assert flow["remediation_status"] == "retired"
    assert flow["remediation_id"] == scenario.remediation.id
    assert reply.document["estimate"]["copies"] == 0
    answer = format_answer_about_key(reply.document)
    assert "no flow needs a remediation; 1 retired original remains on Microsoft's key" in answer
    assert "flow stays" not in answer


async def test_scheduled_deletion_is_shown_with_its_original() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)

    (flow,) = (await run_assessment(scenario)).flows

    assert flow.remediation_status is RemediationStatus.DELETION_SCHEDULED
    assert flow.recommendations == (
        f"Deletion is scheduled: `cmkflow deletion list {scenario.remediation.id}`.",
    )


async def test_copy_that_is_off_makes_its_original_require_an_action() -> None:
    scenario = await build_retired_scenario()
    job = await scenario.read_job("Orders")
    scenario.build.environment.flows[job.copy.id].state = FlowState.OFF

    found = await run_assessment(scenario)

    (flow,) = found.flows
    assert flow.remediation_status is RemediationStatus.ACTION_REQUIRED
    assert "is off. Turn it on" in flow.recommendations[0]
    (section,) = (one for one in found.sections if one.topic is AssessmentTopic.FLOWS)
    levels = {one.code: one.level for one in section.findings}
    assert levels["flows_in_remediation"] is FindingLevel.PROBLEM


async def test_deleted_copy_and_original_that_is_on_again_require_an_action() -> None:
    scenario = await build_retired_scenario()
    job = await scenario.read_job("Orders")
    del scenario.build.environment.flows[job.copy.id]
    find_original(scenario, "Orders").state = FlowState.ON

    (flow,) = (await run_assessment(scenario)).flows

    assert flow.remediation_status is RemediationStatus.ACTION_REQUIRED
    assert [text.split(".")[0] for text in flow.recommendations] == [
        "The retired original is on again",
        "Its copy was not found",
    ]


async def test_flow_whose_job_works_is_in_progress() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=1))

    found = await run_assessment(scenario)

    assert list_statuses(found)["Orders"] is RemediationStatus.IN_PROGRESS
    assert found.estimate.copies == 0


async def test_rolled_back_flow_has_to_be_named_in_a_new_remediation() -> None:
    scenario = await build_retired_scenario()
    await scenario.roll_back()

    (flow,) = (
        one for one in (await run_assessment(scenario)).flows if one.display_name == "Orders"
    )

    assert flow.remediation_status is RemediationStatus.NOT_STARTED
    assert "was rolled back" in flow.recommendations[0]


async def test_unreadable_flow_job_leaves_the_status_unknown() -> None:
    scenario = await build_retired_scenario()
    store = scenario.fakes.store
    row = store.rows[
        scenario.services.tables.flow_jobs.get_row_name(await scenario.read_job("Orders"))
    ]
    await store.write(UpsertRow(replace(row, columns={**row.columns, "data0": "{garbage"})))

    found = await run_assessment(scenario)

    assert list_statuses(found) == {"Orders": RemediationStatus.UNKNOWN}
    assert found.estimate.copies == 1
    texts = [one.message for section in found.sections for one in section.findings]
    assert any("its flow job cannot be read" in text for text in texts)
