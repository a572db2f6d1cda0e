from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import ARM, GROUP_ID, AzureWorld, serve_azure_world

ACTION_GROUP = f"{GROUP_ID}/providers/Microsoft.Insights/actionGroups/on-call"
TAGGED = {"field": "tags['team']", "exists": "false"}
CONDITIONS: dict[str, Mapping[str, Any]] = {
    "type": {"field": "type", "equals": "microsoft.insights/actiongroups"},
    "missing tag": {"allOf": [{"field": "location", "in": ["Global"]}, TAGGED]},
    "alias": {"field": "Microsoft.Insights/actionGroups/enabled", "equals": True},
    "not": {"not": {"field": "tags.team", "equals": "sales"}},
    "any": {"anyOf": [TAGGED, {"field": "name", "notEquals": "on-call"}]},
}
DOCUMENT = {
    "id": ACTION_GROUP,
    "type": "Microsoft.Insights/actionGroups",
    "location": "Global",
    "properties": {"groupShortName": "on-call", "enabled": True, "webhookReceivers": []},
}


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        seed_azure(served.tenant, {"resources": [DOCUMENT]})
        yield served


@pytest.mark.parametrize("tags", [{}, {"team": "sales"}])
@pytest.mark.parametrize("name", CONDITIONS)
async def test_check_and_write_agree(world: AzureWorld, name: str, tags: Mapping[str, str]) -> None:
    policy = {"scope": GROUP_ID, "name": "deny", "condition": CONDITIONS[name]}
    seed_azure(world.tenant, {"policyAssignments": [policy]})
    content = {key: value for key, value in DOCUMENT.items() if key != "id"} | {"tags": tags}
    content["name"] = "on-call"
    details = {"resourceContent": content, "apiVersion": "2023-01-01", "scope": GROUP_ID}

    path = f"{GROUP_ID}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions"
    checked = await world.call(
        "POST", f"{ARM}{path}", {"resourceDetails": details}, **{"api-version": "2022-03-01"}
    )
    written = await world.call(
        "PUT", f"{ARM}{ACTION_GROUP}", content, **{"api-version": "2023-01-01"}
    )

    is_denied = not tags or name in {"type", "alias"}
    evaluations = checked.body["contentEvaluationResult"]["policyEvaluations"]
    assert bool(evaluations) is is_denied
    assert written.status == (403 if is_denied else 200)
    if is_denied:
        error = written.body["error"]
        assert error["code"] == "RequestDisallowedByPolicy"
        [info] = [one["info"] for one in error["additionalInfo"]]
        assert info["policyAssignmentId"] == evaluations[0]["policyInfo"]["policyAssignmentId"]
