from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.secrets.aio import SecretClient

from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import (
    GROUP_ID,
    AzureWorld,
    require_present,
    serve_azure_world,
)

APPS = {
    "id": f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/kv-apps",
    "properties": {"enablePurgeProtection": False, "softDeleteRetentionInDays": 7},
    "keys": [{"name": "orders", "versions": [{"createdDaysAgo": 9}, {"createdDaysAgo": 1}]}],
    "secrets": [{"name": "orders-url", "value": "https://flow.example/1"}],
}


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    async with serve_azure_world() as served:
        seed_azure(served.tenant, {"vaults": [APPS]})
        yield served


@pytest.fixture
async def keys(world: AzureWorld) -> AsyncIterator[KeyClient]:
    url = "https://kv-apps.vault.azure.net"
    async with KeyClient(url, world.credential, **world.client_options) as client:
        yield client


@pytest.fixture
async def secrets(world: AzureWorld) -> AsyncIterator[SecretClient]:
    url = "https://kv-apps.vault.azure.net"
    async with SecretClient(url, world.credential, **world.client_options) as client:
        yield client


async def test_deleted_key_contains_its_purge_date(world: AzureWorld, keys: KeyClient) -> None:
    """The purge date depends on the vault's retention period."""
    before = world.tenant.clock.now().replace(microsecond=0)
    await keys.delete_key("orders")

    [deleted] = [each async for each in keys.list_deleted_keys()]

    assert deleted.name == "orders"
    assert deleted.deleted_date
    assert before <= deleted.deleted_date <= world.tenant.clock.now()
    assert deleted.scheduled_purge_date == deleted.deleted_date + timedelta(days=7)


async def test_name_of_a_purged_key_can_be_used_again(keys: KeyClient) -> None:
    await keys.delete_key("orders")

    await keys.purge_deleted_key("orders")

    with pytest.raises(ResourceNotFoundError):
        await keys.get_deleted_key("orders")
    assert (await keys.create_rsa_key("orders")).name == "orders"


async def test_vault_with_purge_protection_rejects_a_purge(world: AzureWorld) -> None:
    url = "https://kv-cmk.vault.azure.net"
    async with KeyClient(url, world.credential, **world.client_options) as keys:
        await keys.delete_key("pp-cmk")
        with pytest.raises(HttpResponseError, match="purge protection is enabled") as refusal:
            await keys.purge_deleted_key("pp-cmk")

        assert refusal.value.status_code == 403
        assert (await keys.get_deleted_key("pp-cmk")).name == "pp-cmk"


async def test_backup_restores_every_version(keys: KeyClient) -> None:
    """A restore is rejected while the key's name is taken, even by a deleted key."""
    before = [each.id async for each in keys.list_properties_of_key_versions("orders")]
    backup = await keys.backup_key("orders")
    with pytest.raises(HttpResponseError) as in_use:
        await keys.restore_key_backup(backup)
    await keys.delete_key("orders")
    with pytest.raises(HttpResponseError) as in_the_bin:
        await keys.restore_key_backup(backup)
    await keys.purge_deleted_key("orders")

    await keys.restore_key_backup(backup)

    assert [each.id async for each in keys.list_properties_of_key_versions("orders")] == before
    assert (in_use.value.status_code, in_the_bin.value.status_code) == (409, 409)


async def test_a_deleted_secret_is_recovered_with_its_value(secrets: SecretClient) -> None:
    await secrets.delete_secret("orders-url")
    [deleted] = [each async for each in secrets.list_deleted_secrets()]
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_secret("orders-url")
    with pytest.raises(HttpResponseError) as taken:
        await secrets.set_secret("orders-url", "https://flow.example/2")

    await secrets.recover_deleted_secret("orders-url")

    assert deleted.name == "orders-url"
    assert taken.value.status_code == 409
    assert (await secrets.get_secret("orders-url")).value == "https://flow.example/1"


async def test_backup_of_a_secret_cannot_be_restored_as_a_key(
    keys: KeyClient, secrets: SecretClient
) -> None:
    backup = require_present(await secrets.backup_secret("orders-url"))

    for other in (backup, b"nothing"):
        with pytest.raises(HttpResponseError) as refusal:
            await keys.restore_key_backup(other)
        assert refusal.value.status_code == 400


async def test_resource_groups_are_derived_from_the_resources(world: AzureWorld) -> None:
    subscription = GROUP_ID.rpartition("/resourceGroups/")[0]
    listed = await world.call_arm("GET", f"{subscription}/resourcegroups")
    one = await world.call_arm("GET", GROUP_ID)
    unknown = await world.call_arm("GET", f"{GROUP_ID}-other")

    assert [each["id"] for each in listed.body["value"]] == [GROUP_ID]
    assert one.body["name"] == GROUP_ID.rpartition("/")[2]
    assert (unknown.status, unknown.body["error"]["code"]) == (404, "ResourceGroupNotFound")
