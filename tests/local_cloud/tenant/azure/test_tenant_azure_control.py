import json
from typing import Any

from tests.local_cloud.tenant.azure_world import (
    GROUP_OF_RULES_ID,
    POLICY_ID,
    SITE_ID,
    AzureWorld,
)


async def call_control_api(
    world: AzureWorld, method: str, path: str, body: Any = None, **query: str
) -> tuple[int, Any]:
    url = f"{world.server.control_url}{path}"
    async with world.session.request(method, url, json=body, params=query) as response:
        return response.status, json.loads(await response.text() or "null")


async def test_control_api_returns_the_settings_of_a_running_site(world: AzureWorld) -> None:
    status, site = await call_control_api(world, "GET", "/azure/site", id=SITE_ID.upper())

    assert status == 200
    assert site["settings"] == {"COLOUR": "blue", "ORDERS_URL": "https://flow.example/1"}
    assert site["restarts"] == 0


async def test_an_unknown_site_is_not_found(world: AzureWorld) -> None:
    status, _ = await call_control_api(world, "GET", "/azure/site", id=f"{SITE_ID}-2")

    assert status == 404


async def test_locks_are_listed_by_policy(world: AzureWorld) -> None:
    _, locks = await call_control_api(world, "GET", "/azure/locks")

    assert locks == {POLICY_ID: None}


async def test_denied_call_to_a_host_can_be_predicted(world: AzureWorld) -> None:
    query = {"host": "erp.contoso.example", "region": "westeurope"}

    _, protected = await call_control_api(
        world, "GET", "/azure/reachability", **query, isProtected="true"
    )
    _, original = await call_control_api(world, "GET", "/azure/reachability", **query)

    assert protected == {"refusedBy": GROUP_OF_RULES_ID}
    assert original == {"refusedBy": None}


async def test_a_key_event_can_be_published_without_its_cause(world: AzureWorld) -> None:
    """A test need not wait for the event 30 days before a key expires."""
    order = {"vault": "kv-cmk", "key": "pp-cmk", "kind": "Microsoft.KeyVault.KeyNearExpiry"}

    await call_control_api(world, "POST", "/azure/key-events", order)

    [message] = world.tenant.outbox.messages
    assert json.loads(message.body)["eventType"] == "Microsoft.KeyVault.KeyNearExpiry"


async def test_key_is_revoked_and_restored(world: AzureWorld) -> None:
    order = {"vault": "kv-cmk", "key": "pp-cmk"}

    _, revoked = await call_control_api(world, "PATCH", "/azure/keys", order | {"enabled": False})
    _, restored = await call_control_api(world, "PATCH", "/azure/keys", order | {"enabled": True})
    status, _ = await call_control_api(
        world, "PATCH", "/azure/keys", {"vault": "kv-cmk", "key": "none", "enabled": True}
    )

    assert ["is disabled" in str(why) for why in revoked.values()] == [True]
    assert list(restored.values()) == [None]
    assert status == 404


async def test_later_seed_adds_resources(world: AzureWorld) -> None:
    more = {"sites": [{"id": f"{SITE_ID}-2", "appSettings": {"A": "1"}}]}

    status, _ = await call_control_api(world, "POST", "/azure/seed", more)

    _, added = await call_control_api(world, "GET", "/azure/site", id=f"{SITE_ID}-2")
    _, kept = await call_control_api(world, "GET", "/azure/site", id=SITE_ID)
    assert status == 204
    assert added["settings"] == {"A": "1"}
    assert kept["settings"]["COLOUR"] == "blue"
