"""The Azure adapters against the tenant, over TLS and the tunnel."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local_cloud.tenant.core.faults import Fault
from shared.errors import NotFound, Refused, Throttled
from tests.contract.adapter_world import VAULT_URL, Adapters, adapters


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


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


async def test_an_unknown_kind_of_resource_is_no_empty_list(app: Adapters) -> None:
    """What cannot be read is an error, not nothing."""
    with pytest.raises((NotFound, Refused)):
        await app.resources.list("Microsoft.Nothing/things", "2023-12-01")


async def test_calls_are_counted_by_service(app: Adapters) -> None:
    """A list of one page is one call."""
    await app.app_settings.sites()

    assert app.http.calls == {"Azure Resource Manager": 1}
