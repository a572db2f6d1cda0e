import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes.flow_service import turn_on
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

HOUR = timedelta(hours=1)
EXPRESSION = "@parameters('$connections')['shared_office365']['connectionId']"
AUTHENTICATION = "@parameters('$authentication')"

#: A trigger with every setting that a maker can give it (platform.md#trigger-kinds,
#: #trigger-authentication).
TRIGGER = {
    "type": "Request",
    "kind": "Http",
    "description": "Called by the shop",
    "inputs": {
        "triggerAuthenticationType": "TenantUser",
        "triggerAllowedUsers": "shop@contoso.example;6c3f9d10-0000-4000-8000-000000000001",
        "method": "PUT",
        "relativePath": "orders/{id}",
        "schema": {"type": "object", "properties": {"number": {"type": "number", "minimum": 1.50}}},
    },
    "operationOptions": "EnableSchemaValidation",
    "runtimeConfiguration": {
        "concurrency": {"runs": 5, "maximumWaitingRuns": 20},
        "secureData": {"properties": ["inputs", "outputs"]},
    },
    "conditions": [{"expression": "@not(empty(triggerBody()))"}],
    "splitOn": "@triggerBody()?['lines']",
    "correlation": {"clientTrackingId": "@triggerBody()?['id']"},
}


def build_mail_action(**host: Any) -> dict[str, Any]:
    """Return an action that sends mail. `host` is its `inputs.host`."""
    return {
        "type": "OpenApiConnection",
        "description": "Tells the shop",
        "inputs": {
            "host": host,
            "parameters": {"emailMessage/To": "shop@contoso.example"},
            "authentication": AUTHENTICATION,
            "retryPolicy": {"type": "exponential", "count": 2, "interval": "PT20S"},
        },
        "operationOptions": "DisableAsyncPattern",
        "runtimeConfiguration": {"secureData": {"properties": ["inputs"]}},
        "limit": {"timeout": "PT1H"},
        "metadata": {"operationMetadataId": "8d8b2b1c-0000-4000-8000-000000000001"},
    }


#: The two older shapes, one at the top and one inside a loop (platform.md#connector-shapes).
ACTIONS = {
    "Send": build_mail_action(
        apiId="/providers/Microsoft.PowerApps/apis/shared_office365",
        connectionName="shared_office365",
        operationId="SendEmailV2",
    ),
    "Each": {
        "type": "Foreach",
        "foreach": "@triggerBody()",
        "actions": {
            "Old": build_mail_action(connection={"name": EXPRESSION}) | {"type": "ApiConnection"}
        },
        "runtimeConfiguration": {"concurrency": {"repetitions": 1}},
    },
}


def add_complete_flow(scenario: Scenario, *, is_on: bool = True) -> FakeFlow:
    actions = json.loads(json.dumps(ACTIONS))
    connections = {"mail-1": "shared_office365"}
    return scenario.build.add_flow("Orders", TRIGGER, actions, is_on=is_on, connections=connections)


async def run_to_retirement(scenario: Scenario) -> FlowJob:
    scenario.build.apply_key()
    await scenario.run_remediation()
    return await scenario.read_job("Orders")


def read_definition(flow: FakeFlow) -> dict[str, Any]:
    document = json.loads(flow.client_data)
    definition: dict[str, Any] = document["properties"]["definition"]
    return definition


async def test_copy_has_the_complete_definition() -> None:
    scenario = Scenario()
    original = add_complete_flow(scenario)
    before = read_definition(original)

    job = await run_to_retirement(scenario)

    assert job.state is FlowJobState.RETIRED, job.history
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    assert read_definition(copy) == before
    assert read_definition(copy)["triggers"]["manual"] == TRIGGER


@pytest.mark.parametrize("is_on", [True, False])
async def test_copy_is_on_only_if_the_original_was(*, is_on: bool) -> None:
    scenario = Scenario()
    add_complete_flow(scenario, is_on=is_on)

    job = await run_to_retirement(scenario)

    assert job.state is FlowJobState.RETIRED, job.history
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    assert (copy.state is FlowState.ON) == is_on


async def test_older_formats_are_converted_if_the_platform_rejects_them() -> None:
    scenario = Scenario()
    original = add_complete_flow(scenario)
    before = read_definition(original)
    scenario.world.assumptions.older_host_shapes_refused = True

    job = await run_to_retirement(scenario)

    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    after = read_definition(scenario.world.get_workflow(job.environment_id, job.copy.id))
    for action in (before["actions"]["Send"], before["actions"]["Each"]["actions"]["Old"]):
        action["inputs"]["host"]["connectionReferenceName"] = "shared_office365"
        del action["inputs"]["authentication"]
    assert after == before


async def test_next_invocation_uses_the_converted_copy() -> None:
    scenario = Scenario()
    add_complete_flow(scenario)
    scenario.world.assumptions.older_host_shapes_refused = True
    scenario.build.apply_key()
    await scenario.start_remediation()
    job = await scenario.approve_and_run_until("Orders", FlowJobState.COPIED)
    version = scenario.world.get_workflow(job.environment_id, job.copy.id).version
    kept = await scenario.services.tables.flow_jobs.get(job.environment_id, job.id)
    assert kept is not None

    await scenario.services.tables.flow_jobs.replace(kept, replace(job, state=FlowJobState.COPYING))
    await scenario.run_until("Orders", FlowJobState.VERIFIED)

    assert scenario.world.get_workflow(job.environment_id, job.copy.id).version == version


async def test_definition_rejected_in_both_formats_blocks_the_job() -> None:
    """The platform rejects definitions for several reasons with the same code."""
    scenario = Scenario()
    original = add_complete_flow(scenario)
    original.client_data = original.client_data.replace(AUTHENTICATION, "@parameters('own')")
    turn_on(scenario.world, original, scenario.build.owner)
    scenario.world.assumptions.older_host_shapes_refused = True

    job = await run_to_retirement(scenario)

    assert (job.state, job.reason_code) == (
        FlowJobState.BLOCKED,
        "WorkflowRunActionInputsInvalidProperty",
    )
    assert "should not have the property 'authentication'" in job.message
    assert job.copy.id not in scenario.build.environment.flows
