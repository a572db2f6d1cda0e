from collections.abc import Sequence

import pytest

from shared.adapters.azure.resource_manager import ResourceManager
from shared.callers import build_caller_kinds
from shared.domain.callers.caller import Caller
from shared.errors import JobBlocked, PlatformError, SubscriptionsUnread
from shared.firewalls import build_firewall_kinds
from shared.ports import CallerKind
from shared.settings import Settings
from tests.contract.adapter_world import SUBSCRIPTION, Adapters, run_adapters

MISSING = "00000000-0000-4000-8000-00000000dead"


def watch_subscriptions(app: Adapters, *subscriptions: str) -> None:
    assert isinstance(app.resource_writer, ResourceManager)
    app.resource_writer.subscriptions = subscriptions


async def find_callers(kind: CallerKind, app: Adapters) -> tuple[list[Caller], str]:
    """Return the callers of a kind, and the message that names what the search could not read, or
    "".
    """
    found: list[Caller] = []
    try:
        async for caller in kind.find([await app.read_environment()]):
            found.append(caller)  # noqa: PERF401 -- kept if a later one fails
    except JobBlocked as err:
        return found, str(err)
    return found, ""


@pytest.mark.parametrize("order", [(MISSING, SUBSCRIPTION), (SUBSCRIPTION, MISSING)])
async def test_callers_in_other_subscriptions_are_found(
    monkeypatch: pytest.MonkeyPatch, order: Sequence[str]
) -> None:
    async with run_adapters(monkeypatch) as app:
        kinds = build_caller_kinds(app, Settings(tenant_id="t"))
        before = {name: await find_callers(kind, app) for name, kind in kinds.items()}
        watch_subscriptions(app, *order)
        after = {name: await find_callers(kind, app) for name, kind in kinds.items()}

    assert {name: found for name, (found, _) in before.items()} == {
        name: found for name, (found, _) in after.items()
    }
    assert before["key_vault_secret"][0]
    named = {name for name, (_, missed) in after.items() if MISSING in missed}
    assert {"app_setting", "container_app", "key_vault_secret", "logic_app"} <= named
    assert {name for name, (_, missed) in after.items() if missed != before[name][1]} == named


async def test_policies_in_other_subscriptions_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_adapters(monkeypatch) as app:
        before = await app.keys.read_policies()
        watch_subscriptions(app, MISSING, SUBSCRIPTION)
        after = await app.keys.read_policies()
        watch_subscriptions(app, MISSING)
        with pytest.raises(SubscriptionsUnread):
            await app.keys.read_policies()

    assert before
    assert after == before


async def test_unread_firewalls_name_the_subscription_and_the_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A firewall in the unread subscription might deny the flows."""
    async with run_adapters(monkeypatch) as app:
        watch_subscriptions(app, SUBSCRIPTION, MISSING)
        for kind in build_firewall_kinds(app.resources).values():
            with pytest.raises(PlatformError, match=MISSING) as raised:
                await kind.read()
            assert "remove the subscription from CMK_SUBSCRIPTION_IDS" in str(raised.value)
