import json
from typing import Any

import pytest

from local_cloud.tenant.environments.environment import (
    LinkStatus,
    SimulatedEnvironment,
    SimulatedPolicyLink,
)
from local_cloud.tenant.environments.power_platform import PowerPlatform
from tests.local_cloud.tenant.azure_world import (
    GROUP_ID,
    POLICY_ID,
    SUBSCRIPTION,
    VAULT_ID,
    AzureWorld,
)

NEW_ID = f"{GROUP_ID}/providers/Microsoft.PowerPlatform/enterprisePolicies/cmk-new"
BODY: dict[str, Any] = {
    "location": "europe",
    "kind": "Encryption",
    "identity": {"type": "SystemAssigned"},
    "properties": {
        "encryption": {
            "state": "Enabled",
            "keyVault": {"id": VAULT_ID, "key": {"name": "pp-cmk", "version": None}},
        }
    },
}


def add_linked_environment(world: AzureWorld, policy_id: str) -> None:
    """Add an environment that is linked to a policy. Its link has the policy's id in upper case."""
    environment = SimulatedEnvironment(
        id="e1", display_name="Sales", created=world.tenant.clock.now(), org_host=None
    )
    environment.policy = SimulatedPolicyLink(
        policy_id="p1",
        location="europe",
        id=policy_id.upper(),
        system_id="/regions/europe/providers/Microsoft.PowerPlatform/enterprisePolicies/p1",
        status=LinkStatus.LINKED,
    )
    world.tenant.get_part(PowerPlatform).add_environment(environment)


async def test_policy_is_found_by_its_id_in_any_case(world: AzureWorld) -> None:
    answer = await world.call_arm("GET", POLICY_ID.lower())

    assert answer.status == 200
    assert answer.body["id"] == POLICY_ID
    assert answer.body["properties"]["encryption"]["keyVault"]["key"]["version"] is None


async def test_policies_of_a_subscription_are_listed(world: AzureWorld) -> None:
    answer = await world.call_arm(
        "GET",
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.PowerPlatform/enterprisePolicies",
    )

    assert [policy["name"] for policy in answer.body["value"]] == ["cmk-eu"]


async def test_creating_a_policy_gives_it_identities_and_publishes_an_event(
    world: AzureWorld,
) -> None:
    """The service, not the client, chooses the system id and the principal."""
    answer = await world.call_arm("PUT", NEW_ID, BODY)

    [message] = world.tenant.outbox.messages
    event = json.loads(message.body)
    assert answer.status == 201
    assert answer.body["properties"]["systemId"].startswith("/regions/europe/providers/")
    assert answer.body["identity"]["principalId"]
    assert message.queue == "policy-events"
    assert event["eventType"] == "Microsoft.Resources.ResourceWriteSuccess"
    assert event["subject"] == NEW_ID
    assert event["data"]["operationName"] == "Microsoft.PowerPlatform/enterprisePolicies/write"
    assert event["data"]["httpRequest"]["method"] == "PUT"


async def test_replacing_a_policy_keeps_its_system_id_and_its_principal(world: AzureWorld) -> None:
    """Links and role assignments refer to these ids, so they must not change."""
    before = (await world.call_arm("GET", POLICY_ID)).body

    answer = await world.call_arm("PUT", POLICY_ID, BODY)

    assert answer.status == 200
    assert answer.body["properties"]["systemId"] == before["properties"]["systemId"]
    assert answer.body["identity"] == before["identity"]


async def test_delete_of_a_missing_policy_returns_204(world: AzureWorld) -> None:
    first = await world.call_arm("DELETE", POLICY_ID)
    second = await world.call_arm("DELETE", POLICY_ID)

    events = [json.loads(message.body) for message in world.tenant.outbox.messages]
    assert (first.status, second.status) == (200, 204)
    assert [event["eventType"] for event in events] == ["Microsoft.Resources.ResourceDeleteSuccess"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_policy_with_an_environment_cannot_be_changed(
    world: AzureWorld, method: str
) -> None:
    add_linked_environment(world, POLICY_ID)

    answer = await world.call_arm(method, POLICY_ID, BODY)

    assert (answer.status, answer.body["error"]["code"]) == (409, "EnterprisePolicyInUse")
    assert world.tenant.outbox.messages == []


async def test_tags_of_a_policy_can_be_patched(world: AzureWorld) -> None:
    answer = await world.call_arm("PATCH", POLICY_ID, {"tags": {"team": "platform"}})

    assert answer.body["tags"] == {"team": "platform"}
    assert answer.body["properties"]["encryption"]["keyVault"]["key"]["name"] == "pp-cmk"


@pytest.mark.parametrize(
    "wrong",
    [{"location": "westeurope"}, {"kind": "Cipher"}, {"properties": {"encryption": {"a": 1}}}],
)
async def test_a_wrong_policy_is_rejected(world: AzureWorld, wrong: dict[str, Any]) -> None:
    answer = await world.call_arm("PUT", NEW_ID, BODY | wrong)

    assert answer.status == 400
