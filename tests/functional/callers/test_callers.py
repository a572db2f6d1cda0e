import pytest

from shared.domain.callers.caller import CallerContent
from shared.domain.trigger_urls.signatures import find_signatures
from shared.errors import JobBlocked, NotFound
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.callers.called_tenant import Tenant
from tests.kinds.cases import CALLER_KINDS, MOVED_KINDS, load_caller_case


def add_callers(tenant: Tenant) -> None:
    """Add a caller of each kind, and a parent flow, which holds a flow id instead of a URL."""
    for kind in tenant.kinds:
        load_caller_case(kind).add(tenant.builder, tenant.original)
    tenant.builder.add_parent("Parent", tenant.original)


async def test_callers_of_every_kind_are_reverted_exactly(tenant: Tenant) -> None:
    add_callers(tenant)
    before = take_snapshot(tenant.world)
    found = [caller for kind in tenant.kinds for caller in await tenant.list_found_callers(kind)]
    callers = [caller for caller in found if not caller.manual_reason]

    old = [await tenant.update_caller(caller) for caller in callers]
    tenant.count_runs_after_a_beat()
    for caller, value in reversed(list(zip(callers, old, strict=True))):
        await tenant.revert_caller(caller, value)

    assert {caller.kind for caller in callers} == set(MOVED_KINDS)
    assert [(await tenant.read(caller)).text for caller in callers] == [one.text for one in old]
    assert find_differences(before, tenant.world) == []


@pytest.mark.parametrize("kind", [kind for kind in CALLER_KINDS if kind not in MOVED_KINDS])
async def test_manual_caller_is_never_written(tenant: Tenant, kind: str) -> None:
    load_caller_case(kind).add(tenant.builder, tenant.original)
    [caller] = await tenant.list_found_callers(kind)
    value = await tenant.read(caller)

    with pytest.raises(JobBlocked) as caught:
        await tenant.kinds[kind].write(caller, CallerContent(text="other", etag=value.etag))

    assert caller.manual_reason
    assert caller.manual_reason in caught.value.fix
    assert await tenant.read(caller) == value


async def test_texts_of_callers_contain_no_signature(tenant: Tenant) -> None:
    """Rows and reports contain these texts."""
    add_callers(tenant)
    signatures = find_signatures(tenant.builder.get_trigger_url(tenant.original)).values()

    shown = [
        repr(caller) for kind in tenant.kinds for caller in await tenant.list_found_callers(kind)
    ]

    assert signatures
    assert not any(signature in text for signature in signatures for text in shown)


@pytest.mark.parametrize("kind", CALLER_KINDS)
async def test_read_of_a_deleted_caller_raises_not_found(tenant: Tenant, kind: str) -> None:
    case = load_caller_case(kind)
    case.add(tenant.builder, tenant.original)
    [caller] = await tenant.list_found_callers(kind)
    case.remove(tenant.builder)

    with pytest.raises(NotFound):
        await tenant.kinds[kind].read(caller)
