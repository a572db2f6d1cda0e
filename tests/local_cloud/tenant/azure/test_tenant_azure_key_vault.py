import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyRotationPolicy
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.secrets.aio import SecretClient

from local_cloud.tenant.azure.key_health import find_lock_reason
from local_cloud.tenant.azure.state import EpochForm, EventSchema
from tests.local_cloud.tenant.azure_world import (
    POLICY_ID,
    VAULT_ID,
    AzureWorld,
    require_present,
)

URL = "https://kv-cmk.vault.azure.net"


@pytest.fixture
async def keys(world: AzureWorld) -> AsyncIterator[KeyClient]:
    async with KeyClient(URL, world.credential, **world.client_options) as client:
        yield client


@pytest.fixture
async def secrets(world: AzureWorld) -> AsyncIterator[SecretClient]:
    async with SecretClient(URL, world.credential, **world.client_options) as client:
        yield client


async def test_request_without_a_token_gets_a_challenge(world: AzureWorld) -> None:
    """Microsoft's clients learn from the challenge where to get a token, and for which resource."""
    answer = await world.call("GET", f"{URL}/keys", audience="", **{"api-version": "7.4"})

    assert answer.status == 401
    assert 'authorization="https://login.microsoftonline.com/' in answer.headers["WWW-Authenticate"]
    assert 'resource="https://vault.azure.net"' in answer.headers["WWW-Authenticate"]


async def test_token_for_another_service_is_rejected(world: AzureWorld) -> None:
    answer = await world.call("GET", f"{URL}/keys", **{"api-version": "7.4"})

    assert answer.status == 401


async def test_a_call_without_api_version_is_refused(world: AzureWorld) -> None:
    answer = await world.call("GET", f"{URL}/keys", audience="https://vault.azure.net")

    assert (answer.status, answer.body["error"]["code"]) == (400, "BadParameter")


async def test_a_key_is_read_with_its_protection(keys: KeyClient) -> None:
    """The recovery level of a key shows whether its vault has purge protection."""
    key = await keys.get_key("PP-CMK")

    assert key.key_type == "RSA"
    assert len(key.key.n) * 8 == 2048  # type: ignore[attr-defined]  # set from what Azure says
    assert key.properties.recovery_level == "Recoverable"
    assert key.properties.enabled is True


async def test_an_unknown_key_is_not_found(keys: KeyClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="KeyNotFound"):
        await keys.get_key("nothing")


async def test_rotation_adds_a_version_and_publishes_its_event(
    world: AzureWorld, keys: KeyClient
) -> None:
    rotated = await keys.rotate_key("pp-cmk")

    [message] = world.tenant.outbox.messages
    event = json.loads(message.body)
    assert message.queue == "key-events"
    assert event["topic"] == VAULT_ID
    assert event["eventType"] == "Microsoft.KeyVault.KeyNewVersionCreated"
    assert event["data"] == {
        "Id": rotated.id,
        "VaultName": "kv-cmk",
        "ObjectType": "Key",
        "ObjectName": "pp-cmk",
        "Version": rotated.properties.version,
        "NBF": None,
        "EXP": None,
    }
    assert message.properties["aeg-event-type"] == "Notification"
    assert message.properties["aeg-output-event-id"] == event["id"]


async def test_events_can_have_the_known_variations(world: AzureWorld, keys: KeyClient) -> None:
    """Real events have been seen in these variations."""
    settings = world.azure.events
    settings.schema = EventSchema.CLOUD_EVENTS
    settings.epoch_form = EpochForm.STRING
    settings.has_stray_blanks = True
    settings.copies = 2
    policy = KeyRotationPolicy(expires_in="P90D")
    await keys.update_key_rotation_policy("pp-cmk", policy)

    rotated = await keys.rotate_key("pp-cmk")

    first, second = world.tenant.outbox.messages
    event = json.loads(first.body)
    assert first == second
    assert first.content_type == "application/cloudevents+json"
    assert event["source"] == VAULT_ID
    assert event["data"]["ObjectName "] == "pp-cmk"
    assert event["data"]["Version"] == f" {rotated.properties.version}"
    assert event["data"]["EXP"] == str(
        int(require_present(rotated.properties.expires_on).timestamp())
    )


async def test_versions_are_listed_page_by_page(keys: KeyClient) -> None:
    """A page of a vault has at most 25 items."""
    made = [(await keys.rotate_key("pp-cmk")).properties.version for _ in range(30)]

    listed = [each.version async for each in keys.list_properties_of_key_versions("pp-cmk")]

    assert listed[1:] == made


async def test_disabling_the_previous_version_too_early_locks_the_policy(
    world: AzureWorld, keys: KeyClient
) -> None:
    """A replaced version is still needed for 28 days."""
    clock = world.tenant.clock
    old = await keys.get_key("pp-cmk")
    await keys.rotate_key("pp-cmk")
    assert find_lock_reason(world.azure, POLICY_ID, clock.now()) is None

    await keys.update_key_properties("pp-cmk", old.properties.version, enabled=False)

    assert "disabled within 28 days" in (
        find_lock_reason(world.azure, POLICY_ID, clock.now()) or ""
    )
    clock.advance(timedelta(days=28, minutes=1).total_seconds())
    assert find_lock_reason(world.azure, POLICY_ID, clock.now()) is None


async def test_enabling_the_current_version_again_unlocks_the_policy(
    world: AzureWorld, keys: KeyClient
) -> None:
    key = await keys.get_key("pp-cmk")

    await keys.update_key_properties("pp-cmk", key.properties.version, enabled=False)
    locked = (await world.call_arm("GET", POLICY_ID)).body
    await keys.update_key_properties("pp-cmk", key.properties.version, enabled=True)
    unlocked = (await world.call_arm("GET", POLICY_ID)).body

    assert locked["properties"]["healthStatus"] == "Unhealthy"
    assert unlocked["properties"]["healthStatus"] == "Healthy"


async def test_deleted_key_is_in_the_recycle_bin_and_locks_the_policy(
    world: AzureWorld, keys: KeyClient
) -> None:
    """Soft delete keeps a key, but the platform cannot use it."""
    await keys.delete_key("pp-cmk")

    deleted = await keys.get_deleted_key("pp-cmk")
    reason = find_lock_reason(world.azure, POLICY_ID, world.tenant.clock.now())
    assert deleted.name == "pp-cmk"
    assert reason == "The key 'pp-cmk' does not exist in the vault 'kv-cmk'."


async def test_a_deleted_key_keeps_its_name_until_it_is_recovered(keys: KeyClient) -> None:
    key = await keys.get_key("pp-cmk")
    await keys.delete_key("pp-cmk")
    with pytest.raises(HttpResponseError) as refusal:
        await keys.create_rsa_key("pp-cmk")

    await keys.recover_deleted_key("pp-cmk")

    assert refusal.value.status_code == 409
    assert (await keys.get_key("pp-cmk")).id == key.id


async def test_secrets_are_listed_without_their_values(secrets: SecretClient) -> None:
    listed = [each async for each in secrets.list_properties_of_secrets()]

    [item] = listed
    assert (item.name, item.content_type) == ("orders-url", "url")
    assert (await secrets.get_secret("orders-url")).value == "https://flow.example/1"


async def test_write_of_a_secret_adds_a_version_and_keeps_the_old_version(
    secrets: SecretClient,
) -> None:
    old = await secrets.get_secret("orders-url")

    new = await secrets.set_secret(
        "orders-url", "https://flow.example/2", content_type="url", tags={"owner": "shop"}
    )

    kept = await secrets.get_secret("orders-url", old.properties.version)
    assert (await secrets.get_secret("orders-url")).value == "https://flow.example/2"
    assert kept.value == "https://flow.example/1"
    assert new.properties.tags == {"owner": "shop"}
    versions = [v.version async for v in secrets.list_properties_of_secret_versions("orders-url")]
    assert versions == [old.properties.version, new.properties.version]


async def test_disabled_secret_is_not_returned(secrets: SecretClient) -> None:
    secret = await secrets.get_secret("orders-url")

    await secrets.update_secret_properties("orders-url", secret.properties.version, enabled=False)

    with pytest.raises(HttpResponseError) as refusal:
        await secrets.get_secret("orders-url")
    assert refusal.value.status_code == 403


async def test_signature_of_a_version_is_checked_by_microsofts_client(keys: KeyClient) -> None:
    digest = hashlib.sha256(b"content").digest()
    client = keys.get_cryptography_client("pp-cmk")

    signed = await client.sign(SignatureAlgorithm.rs256, digest)
    checked = await client.verify(SignatureAlgorithm.rs256, digest, signed.signature)
    with pytest.raises(HttpResponseError, match="not a SHA-256 digest"):
        await client.sign(SignatureAlgorithm.rs256, digest[:-1])
    with pytest.raises(HttpResponseError, match="incompatible"):
        await client.sign(SignatureAlgorithm.es256, digest)

    assert checked.is_valid
    assert signed.key_id == (await keys.get_key("pp-cmk")).id


async def test_disabled_key_version_does_not_sign(keys: KeyClient) -> None:
    key = await keys.get_key("pp-cmk")
    client = keys.get_cryptography_client("pp-cmk", key_version=key.properties.version)
    await client.sign(SignatureAlgorithm.rs256, bytes(32))
    await keys.update_key_properties("pp-cmk", key.properties.version, enabled=False)

    with pytest.raises(HttpResponseError, match="disabled"):
        await client.sign(SignatureAlgorithm.rs256, bytes(32))


async def test_key_without_the_sign_operation_does_not_sign(
    world: AzureWorld, keys: KeyClient
) -> None:
    made = await keys.create_rsa_key("wrapping", key_operations=["wrapKey", "unwrapKey"])
    answer = await world.call(
        "POST",
        f"{made.id}/sign",
        {"alg": "RS256", "value": "A" * 43},
        audience="https://vault.azure.net",
        **{"api-version": "7.4"},
    )

    assert made.key_operations == ["wrapKey", "unwrapKey"]
    assert (answer.status, answer.body["error"]["code"]) == (403, "Forbidden")
