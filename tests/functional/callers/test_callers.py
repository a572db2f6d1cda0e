"""Every kind of caller: put back byte for byte, shown without a signature, documented."""

from collections.abc import Iterable

import pytest

from shared.callers import canvas_app
from shared.domain.trigger_urls.trigger_url import signatures_in
from shared.errors import NotFound
from tests.functional.callers.called_tenant import Tenant
from tests.twins.builder import Builder
from tests.twins.snapshot import differences, take_snapshot
from tests.twins.tenant import TwinFlow


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without callers."""
    return Tenant()


def _callers(builder: Builder, original: TwinFlow) -> Iterable[object]:
    """Add a caller of every kind."""
    yield builder.variable_caller(original)
    yield builder.flow_caller(original)
    yield builder.parent("Parent", original)
    yield builder.app_setting_caller(original)
    yield builder.secret_caller(original)


async def test_every_kind_is_put_back_byte_for_byte(tenant: Tenant) -> None:
    """After moving all callers and back, the tenant is as it was; the traffic lost nothing."""
    list(_callers(tenant.builder, tenant.original))
    before = take_snapshot(tenant.world)
    callers = [caller for kind in tenant.kinds for caller in await tenant.found(kind)]

    old = [await tenant.move(caller) for caller in callers]
    tenant.runs_after_a_beat()
    for caller, value in reversed(list(zip(callers, old, strict=True))):
        await tenant.move_back(caller, value)

    assert {caller.kind for caller in callers} == set(tenant.kinds) - {canvas_app.KIND}
    assert differences(before, tenant.world) == []


async def test_what_callers_show_holds_no_signature(tenant: Tenant) -> None:
    """Addresses, labels and reasons go into state rows and reports."""
    list(_callers(tenant.builder, tenant.original))
    signatures = signatures_in(tenant.builder.url_of(tenant.original)).values()

    shown = [repr(caller) for kind in tenant.kinds for caller in await tenant.found(kind)]

    assert signatures
    assert not any(signature in text for signature in signatures for text in shown)


@pytest.mark.parametrize(
    "kind", ["flow", "environment_variable", "app_setting", "key_vault_secret"]
)
async def test_a_place_that_is_gone_is_not_found(tenant: Tenant, kind: str) -> None:
    """A caller that was deleted since the search says so."""
    list(_callers(tenant.builder, tenant.original))
    caller = (await tenant.found(kind))[0]
    tenant.world.sites.clear()
    tenant.world.secrets.clear()
    tenant.builder.environment.flows.clear()
    tenant.builder.environment.variables.clear()

    with pytest.raises(NotFound):
        await tenant.kinds[kind].read(caller)
