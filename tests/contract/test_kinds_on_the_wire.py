"""Caller kinds and firewall kinds on the real adapters, against the tenant over TLS."""

from collections.abc import AsyncIterator

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.callers.caller import Caller, CallerValue
from shared.domain.callers.edit import rewrite, undo
from shared.domain.network.coverage import gaps
from shared.domain.trigger_urls.trigger_url import find_trigger_urls, signatures_in
from shared.firewalls import firewall_kinds
from tests.contract.adapter_world import SITE_ID, VAULT_URL, Adapters, adapters
from tests.contract.tenant_world import GROUP, HTTP_FLOW, PARENT_FLOW
from tests.twins.services import kinds_on, twin_settings

COPY_ID = "c" * 32
COPY_FLOW = "c0000000-0000-4000-8000-00000000000c"
GROUP_ID = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/edge"
HOST = "api.contoso.example"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


async def callers_of(app: Adapters) -> tuple[str, list[Caller]]:
    """Put the URL into a setting too; return it and every caller of the HTTP flow."""
    url = (await app.secrets.read(VAULT_URL, "orders-url")).value
    await app.app_settings.write(SITE_ID, {"COLOUR": "blue", "FLOW_URL": f"{url}&from=shop"})
    url_id = find_trigger_urls(url)[0].url.workflow_id
    environments = await app.environments.list()
    found = [
        caller
        for kind in kinds_on(app).values()
        async for caller in kind.find(environments)
        if url_id in caller.trigger_url_ids or HTTP_FLOW in caller.child_flow_ids
    ]
    return url, found


async def test_every_kind_finds_its_caller_on_the_wire(app: Adapters) -> None:
    """A parent, a variable, a setting and a secret hold the same original."""
    _, found = await callers_of(app)

    assert sorted(caller.kind for caller in found) == [
        "app_setting",
        "environment_variable",
        "flow",
        "key_vault_secret",
    ]
    assert [caller.workflow_id for caller in found if caller.kind == "flow"] == [PARENT_FLOW]
    assert all(caller.manual == "" for caller in found)


async def test_every_caller_moves_and_comes_back_byte_for_byte(app: Adapters) -> None:
    """The adapters keep what the kinds do not touch."""
    url, found = await callers_of(app)
    old_id = find_trigger_urls(url)[0].url.workflow_id
    urls = {old_id: url.replace(old_id, COPY_ID)}

    for caller in found:
        kind = kinds_on(app)[caller.kind]
        before = await kind.read(caller)
        done = rewrite(
            before.text, is_json=kind.is_json, urls=urls, flow_ids={HTTP_FLOW: COPY_FLOW}
        )

        await kind.write(caller, CallerValue(text=done.text, etag=before.etag))
        moved = await kind.read(caller)
        back = undo(moved.text, done.edits, signatures_in(before.text))
        await kind.write(caller, CallerValue(text=back, etag=moved.etag))

        assert moved.text == done.text != before.text
        assert (await kind.read(caller)).text == before.text
    assert (await app.app_settings.read(SITE_ID))["COLOUR"] == "blue"
    assert (await app.secrets.read(VAULT_URL, "orders-url")).tags == {"team": "orders"}


async def test_firewalls_and_ranges_are_read_on_the_wire(app: Adapters) -> None:
    """A group opened for the old ranges lacks the new ones until a rule for the tag is added."""
    firewalls = firewall_kinds(app, twin_settings())
    old = _rule("flows", 100, "LogicApps")
    seed_azure(app.world.tenant, {"networkSecurityGroups": [_group(old)]})
    prefixes = await app.tags.prefixes()

    before = [one for kind in firewalls.values() for one in await kind.read()]
    seed_azure(
        app.world.tenant,
        {"networkSecurityGroups": [_group(old, _rule("plex", 110, "PowerPlatformPlex"))]},
    )
    after = [one for kind in firewalls.values() for one in await kind.read()]

    [gap] = gaps(before, "europe", [HOST], prefixes)
    assert gap.is_certain
    assert gap.missing_tags == ("PowerPlatformPlex.NorthEurope", "PowerPlatformPlex.WestEurope")
    assert gaps(after, "europe", [HOST], prefixes) == []
    assert {"shop.contoso.example"} <= {host for one in after for host in one.hosts}


def _group(*rules: dict[str, object]) -> dict[str, object]:
    return {"id": GROUP_ID, "securityRules": list(rules)}


def _rule(name: str, priority: int, source: str) -> dict[str, object]:
    properties = {
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "443",
    }
    return {"name": name, "properties": properties}
