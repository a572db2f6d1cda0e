from datetime import timedelta

import pytest

from local_cloud.tenant.azure.state import SITES, VAULTS, Azure
from local_cloud.tenant.azure.vault_contents import add_next_version
from local_cloud.tenant.core.faults import Fault
from shared.errors import NotFound, PlatformError, ThrottledError
from tests.contract.adapter_world import SUBSCRIPTION, VAULT_URL, Adapters
from tests.local_cloud.tenant.tenant_world import VAULT_ID


async def test_key_reads_retry_and_raise_the_apps_errors(app: Adapters) -> None:
    """Microsoft's SDK for keys sends its requests through the app's HTTP pipeline."""
    faults = app.world.tenant.faults
    vault = await app.keys.read_vault(VAULT_ID)
    faults.add(Fault(route="key_vault.*", status=503))
    tried_again = await app.keys.read_key_versions(vault, "pp-cmk")
    calls = app.http.calls["Key Vault"]
    faults.add(Fault(route="key_vault.*", status=429, headers={"Retry-After": "7"}))
    with pytest.raises(ThrottledError) as throttled:
        await app.keys.read_key_versions(vault, "pp-cmk")
    faults.add(Fault(route="key_vault.*", status=403, code="Forbidden"))
    faults.add(Fault(route="*vault_key_versions", status=403, code="AuthorizationFailed"))
    with pytest.raises(PlatformError) as refused:
        await app.keys.read_key_versions(vault, "pp-cmk")
    with pytest.raises(NotFound):
        await app.keys.read_key_versions(vault, "no-such-key")

    assert len(tried_again) == 1
    assert calls == 3  # the list, twice, and its one version
    assert throttled.value.retry_after == timedelta(seconds=7)
    assert (refused.value.status, refused.value.code) == (403, "AuthorizationFailed")


@pytest.mark.parametrize(
    "closed",
    [
        {"networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"}},
        {"publicNetworkAccess": "Disabled"},
    ],
    ids=["by its rules", "to the public"],
)
async def test_keys_of_a_vault_behind_a_firewall_are_read(
    app: Adapters, closed: dict[str, object]
) -> None:
    azure = app.world.tenant.get_part(Azure)
    contents, document = azure.find_vault("kv-cmk"), azure.resources.find(VAULTS, VAULT_ID)
    assert contents is not None
    assert document is not None
    key = contents.keys["pp-cmk"]
    add_next_version(key, app.world.tenant.clock.now())
    key.versions[0].attributes.expires = app.world.tenant.clock.now() + timedelta(days=9)
    vault = await app.keys.read_vault(VAULT_ID)
    seen = await app.keys.read_key_versions(vault, "pp-cmk")

    document["properties"] |= closed
    through_resource_manager = await app.keys.read_key_versions(vault, "pp-cmk")

    assert through_resource_manager == seen
    assert [one.expires_at is None for one in seen] == [True, False]
    assert (seen[0].size, "unwrapkey" in seen[0].operations) == (2048, True)
    with pytest.raises(NotFound):
        await app.keys.read_key_versions(vault, "no-such-key")
    with pytest.raises(PlatformError, match="Forbidden"):
        await app.secrets.read(VAULT_URL, "orders-url")


async def test_identities_of_an_app_in_a_resource_group_named_sites_are_read(
    app: Adapters,
) -> None:
    """The resource id contains `sites` twice."""
    site_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/sites/providers/{SITES}/web"
    site = {"id": site_id, "name": "web", "type": SITES, "location": "westeurope", "properties": {}}
    identity = {"type": "SystemAssigned", "principalId": "p1"}
    app.world.tenant.get_part(Azure).resources.put({**site, "identity": identity})

    [reader] = await app.app_settings.read_secret_readers(site_id)

    assert reader.principal_id == "p1"


async def test_list_of_an_unknown_resource_type_raises_an_error(app: Adapters) -> None:
    with pytest.raises((NotFound, PlatformError)):
        await app.resources.list("Microsoft.Nothing/things", "2023-12-01")


async def test_requests_are_counted_by_service(app: Adapters) -> None:
    await app.app_settings.read_sites()

    assert app.http.calls == {"Azure Resource Manager": 2}
