"""The Azure adapters against the tenant, over TLS and the tunnel."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local_cloud.tenant.core.faults import Fault
from shared.adapters.http.client import Call
from shared.errors import NotFound, Refused, Throttled
from tests.contract.adapter_world import SITE_ID, SUBSCRIPTION, VAULT_URL, Adapters, adapters
from tests.contract.tenant_world import HTTP_FLOW, POLICY_ID, VAULT_ID


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


async def test_an_apps_settings_are_replaced_as_a_whole(app: Adapters) -> None:
    """What is not written again is gone."""
    [site] = await app.app_settings.sites()
    read = await app.app_settings.read(site.id)
    await app.app_settings.write(site.id, {**read, "URL": "https://x.example/?a=1&b=2"})
    more = await app.app_settings.read(site.id)
    await app.app_settings.write(site.id, {"ONLY": "this"})

    assert site.id.lower() == SITE_ID.lower()
    assert "shop.contoso.example" in site.hosts
    assert read == {"COLOUR": "blue"}
    assert more == {"COLOUR": "blue", "URL": "https://x.example/?a=1&b=2"}
    assert await app.app_settings.read(site.id) == {"ONLY": "this"}


async def test_a_site_that_does_not_exist_is_not_found(app: Adapters) -> None:
    """Resource Manager answers 404."""
    with pytest.raises(NotFound):
        await app.app_settings.read(SITE_ID + "-gone")


async def test_secrets_are_listed_read_and_written_with_what_they_carry(app: Adapters) -> None:
    """A new version keeps content type and tags."""
    names = [item async for item in app.secrets.list()]
    secret = await app.secrets.read(VAULT_URL, "orders-url")
    await app.secrets.write(secret, "https://new.example/")
    after = await app.secrets.read(VAULT_URL, "orders-url")

    assert names == [(VAULT_URL, "orders-url")]
    assert secret.value == await app.world.url_of(HTTP_FLOW)
    assert "sig" not in repr(secret)
    assert after.version != secret.version
    assert replace(after, value="", version="") == replace(secret, value="", version="")
    assert after.value == "https://new.example/"
    assert (after.content_type, after.tags) == ("text/uri", {"team": "orders"})


async def test_a_secret_that_does_not_exist_is_not_found(app: Adapters) -> None:
    """The vault answers 404."""
    with pytest.raises(NotFound):
        await app.secrets.read(VAULT_URL, "nothing")


async def test_a_policy_names_its_vault_and_key(app: Adapters) -> None:
    """Only encryption policies are given."""
    [policy] = await app.keys.policies()

    assert policy.id == POLICY_ID.lower()
    assert policy.vault_id == VAULT_ID.lower()
    assert (policy.key_name, policy.key_version) == ("pp-cmk", None)
    assert policy.location == "europe"
    assert policy.principal_id
    assert policy.system_id.startswith("/regions/europe/")


async def test_a_vault_shows_its_protection(app: Adapters) -> None:
    """By its resource id, in whatever case."""
    vault = await app.keys.vault(VAULT_ID.lower())

    assert vault.url == VAULT_URL
    assert vault.id == VAULT_ID.lower()
    assert vault.soft_delete
    assert vault.purge_protection


async def test_a_keys_versions_come_newest_first(app: Adapters) -> None:
    """With type and size, which the list of versions leaves out."""
    rotate = Call(
        method="POST", url=f"{VAULT_URL}/keys/pp-cmk/rotate", params={"api-version": "7.4"}
    )
    await app.http.send(app.vaults, rotate)

    newest, oldest = await app.keys.key_versions(VAULT_URL, "pp-cmk")

    assert newest.created is not None
    assert oldest.created is not None
    assert newest.created > oldest.created
    assert newest.version != oldest.version
    assert newest.key_type.startswith("RSA")
    assert newest.size in (2048, 3072)
    assert newest.is_enabled


async def test_keys_raise_what_everything_else_raises(app: Adapters) -> None:
    """They are read by Microsoft's SDK, on our pipeline: counted, tried again, translated."""
    faults = app.world.tenant.faults
    faults.add(Fault(route="key_vault.*", status=503))
    tried_again = await app.keys.key_versions(VAULT_URL, "pp-cmk")
    calls = app.http.calls["Key Vault"]
    faults.add(Fault(route="key_vault.*", status=429, headers={"Retry-After": "7"}))
    with pytest.raises(Throttled) as throttled:
        await app.keys.key_versions(VAULT_URL, "pp-cmk")
    faults.add(Fault(route="key_vault.*", status=403, code="Forbidden"))
    with pytest.raises(Refused) as refused:
        await app.keys.key_versions(VAULT_URL, "pp-cmk")
    with pytest.raises(NotFound):
        await app.keys.key_versions(VAULT_URL, "no-such-key")

    assert len(tried_again) == 1
    assert calls == 3  # the list, twice, and its one version
    assert throttled.value.retry_after == timedelta(seconds=7)
    assert (refused.value.status, refused.value.code) == (403, "Forbidden")


async def test_service_tags_are_read_over_all_pages(app: Adapters) -> None:
    """By lower-case name."""
    prefixes = await app.tags.prefixes()

    assert "20.61.88.128/26" in prefixes["powerplatformplex.westeurope"]
    assert len(prefixes) >= 20


async def test_resources_of_a_type_are_listed_and_read(app: Adapters) -> None:
    """And what lies below one."""
    sites = await app.resources.list("Microsoft.Web/sites", "2023-12-01")
    web = await app.resources.get(SITE_ID, "2023-12-01", "/config/web")

    assert [site["name"] for site in sites] == ["shop"]
    assert "properties" in web
    assert app.resources.subscriptions == (SUBSCRIPTION,)


async def test_an_unknown_kind_of_resource_is_no_empty_list(app: Adapters) -> None:
    """What cannot be read is an error, not nothing."""
    with pytest.raises((NotFound, Refused)):
        await app.resources.list("Microsoft.Nothing/things", "2023-12-01")


async def test_calls_are_counted_by_service(app: Adapters) -> None:
    """A list of one page is one call."""
    await app.app_settings.sites()

    assert app.http.calls == {"Azure Resource Manager": 1}
