import json
from typing import Any

import pytest

from shared.domain.assessment.assessment import AssessmentTopic
from shared.domain.finding import FindingLevel
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from tests.fakes.definition_builder import build_child_flow_action, build_http_action
from tests.fakes.flow_service import build_trigger_url
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_approve,
    plan_remediation,
)


def add_call_of_itself(scenario: Scenario | Assessed, flow: FakeFlow, *, by: str) -> None:
    action: dict[str, Any] = build_child_flow_action(flow.workflow_id)
    if by == "url":
        action = build_http_action(build_trigger_url(scenario.build.environment, flow))
    document = json.loads(flow.client_data)
    document["properties"]["definition"]["actions"]["Again"] = {**action, "runAfter": {}}
    flow.client_data = json.dumps(document)
    flow.version += 1


@pytest.mark.parametrize("by", ["id", "url"])
@pytest.mark.parametrize("has_row", [True, False])
async def test_copy_of_a_flow_that_runs_itself_runs_the_copy(by: str, *, has_row: bool) -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    if not has_row:
        scenario.world.assumptions.my_flows_have_rows = False
        flow.in_solution, flow.flow_name = False, flow.workflow_id
    add_call_of_itself(scenario, flow, by=by)
    scenario.build.add_app_setting_caller(flow)
    before = take_snapshot(scenario.world)
    await plan_remediation(scenario)
    plan = (await scenario.plan())["Orders"]

    await scenario.approve()

    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    marks = [flow.workflow_id, flow.trigger_url_id], [copy.workflow_id, copy.trigger_url_id]
    text = json.loads(copy.client_data)["properties"]["definition"]["actions"]["Again"]
    assert plan.action is PlannedAction.COPY
    assert "circle" not in plan.message
    assert "parent_of_microsoft_key_flow" not in plan.microsoft_key_reasons
    assert job.state is FlowJobState.RETIRED, job.message
    assert job.children == ()
    assert not any(mark in json.dumps(text) for mark in marks[0])
    assert any(mark in json.dumps(text) for mark in marks[1])
    assert copy.is_on

    await scenario.roll_back()

    back = await scenario.read_job("Orders")
    assert back.state is FlowJobState.ROLLED_BACK, (back.message, back.fix)
    assert find_differences(before, scenario.world) == []


async def test_copy_of_an_off_flow_that_runs_itself_runs_the_copy() -> None:
    scenario = Scenario()
    flow = scenario.build.add_off_flow("Sleeper")
    add_call_of_itself(scenario, flow, by="id")

    await plan_and_approve(scenario)

    job = await scenario.read_job("Sleeper")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    again = json.loads(copy.client_data)["properties"]["definition"]["actions"]["Again"]
    assert job.state is FlowJobState.RETIRED, job.message
    assert again["inputs"]["host"]["workflowReferenceName"] == job.copy.id


async def test_assessment_reports_no_loop_for_a_flow_that_runs_itself() -> None:
    """A flow that runs itself can be copied."""
    tenant = Assessed()
    flow = tenant.build.add_http_flow("Orders")
    add_call_of_itself(tenant, flow, by="id")

    await tenant.assess()

    assert tenant.flows["Orders"].microsoft_key_reasons == ("http_trigger",)
    assert tenant.list_findings(AssessmentTopic.FLOWS, "flow_cycle") == []
    assert (
        tenant.require_finding(AssessmentTopic.FLOWS, "report_reconciled").level is FindingLevel.OK
    )
