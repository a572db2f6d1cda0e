from collections.abc import Mapping

import pytest

from shared.domain.network.firewall import Firewall
from shared.domain.network.verdict import Verdict
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.case import HOST, Json
from tests.kinds.firewalls import (
    cosmos_account,
    event_hubs_namespace,
    key_vault,
    postgresql_server,
    service_bus_namespace,
    sql_server,
    storage_account,
)
from tests.kinds.namespace_resources import NamespaceResources
from tests.kinds.server_resources import ServerResources
from tests.unit.uncovered import build_tag_list, judge_tag

TAG, WEST = "PowerPlatformPlex", "PowerPlatformPlex.WestEurope"
RANGES = ["20.61.88.128/26", "2603:1061:2004:7800::/56"]
TAGS = build_tag_list({TAG: RANGES, WEST: RANGES})
ALL_OF_AZURE = "0.0.0.0"  # noqa: S104 – as these services write it
HALF = "20.61.88.128/27"


async def read_firewall(kind: str, *resources: Json) -> Firewall:
    world = World()
    world.resources = {one["id"].lower(): one for one in resources}
    [firewall] = await build_firewall_kinds(build_fakes(world).ports.resources)[kind].read()
    return firewall


def find_verdict(firewall: Firewall, tag: str = WEST) -> str:
    """Return the verdict on a service tag: allowed, partly allowed, denied or unknown."""
    return judge_tag(firewall, tag, TAGS).verdict


async def test_service_without_ipv6_needs_no_ipv6_rule() -> None:
    found = judge_tag(
        await read_firewall("key_vault", key_vault.build_vault([{"value": RANGES[0]}])), WEST, TAGS
    )

    assert (found.verdict, found.by_version) == ("allowed", {"ipv4": Verdict.ALLOWED})


@pytest.mark.parametrize(
    ("vault", "expected"),
    [
        (key_vault.build_vault(), "denied"),
        (key_vault.build_vault([{"value": HALF}]), "partly_allowed"),
        (key_vault.build_vault([{"value": "20.61.88.128/25"}]), "allowed"),
        (key_vault.build_vault(default="Allow"), "allowed"),
        (key_vault.build_vault(networkAcls=None), "allowed"),
        (key_vault.build_vault(default="Allow", publicNetworkAccess="Disabled"), "denied"),
        (key_vault.build_vault(publicNetworkAccess="enabled"), "denied"),
        (key_vault.build_vault(publicNetworkAccess="SecuredByPerimeter"), "unknown"),
        (key_vault.build_vault(default="[parameters('action')]"), "unknown"),
        (key_vault.build_vault([{"value": "[parameters('address')]"}]), "unknown"),
        (
            key_vault.build_vault(
                networkAcls={"defaultAction": "Deny", "ipRules": "[variables('r')]"}
            ),
            "unknown",
        ),
    ],
)
async def test_vault_allows_the_addresses_of_its_rules(vault: Json, expected: str) -> None:
    firewall = await read_firewall("key_vault", vault)

    assert find_verdict(firewall) == expected
    assert firewall.hosts == {HOST}


async def test_verdict_for_callers_in_the_region_of_a_storage_account_is_unknown() -> None:
    """IP rules do not apply to callers in the region of the account."""
    rules = [{"value": RANGES[0], "action": "Allow"}]
    own = await read_firewall(
        "storage_account", storage_account.build_account(rules, "West Europe")
    )
    other = await read_firewall("storage_account", storage_account.build_account(rules, "eastus"))
    closed = await read_firewall(
        "storage_account", storage_account.build_account(location="westeurope")
    )

    found = judge_tag(own, WEST, TAGS)
    assert (found.verdict, found.message) == (
        "unknown",
        "depends_on: rules do not apply to callers in westeurope",
    )
    assert [find_verdict(one) for one in (other, closed)] == ["allowed", "denied"]
    assert other.hosts == {HOST, "t.example"}


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (cosmos_account.build_account(), "allowed"),
        (cosmos_account.build_account(HALF), "partly_allowed"),
        (cosmos_account.build_account(isVirtualNetworkFilterEnabled=True), "denied"),
        (cosmos_account.build_account(ALL_OF_AZURE), "allowed"),
        (cosmos_account.build_account(publicNetworkAccess="Disabled"), "denied"),
        (cosmos_account.build_account(ipRules="[parameters('rules')]"), "unknown"),
    ],
)
async def test_cosmos_account_with_a_rule_denies_other_addresses(
    account: Json, expected: str
) -> None:
    """The rule 0.0.0.0 allows all of Azure."""
    firewall = await read_firewall("cosmos_account", account)

    assert find_verdict(firewall) == expected
    assert firewall.hosts == {HOST, f"eastus.{HOST}"}


@pytest.mark.parametrize(
    ("kind", "build"),
    [
        ("service_bus_namespace", service_bus_namespace.RESOURCES),
        ("event_hubs_namespace", event_hubs_namespace.RESOURCES),
    ],
)
async def test_namespace_with_a_rule_denies_other_addresses(
    kind: str, build: NamespaceResources
) -> None:
    """Without a rule, the effect of a denying default is not documented."""
    case: Mapping[str, Json] = {
        "denied": build.build_rule_set("203.0.113.1"),
        "partly_allowed": build.build_rule_set(HALF),
        "allowed": build.build_rule_set(default="Allow"),
        "unknown": build.build_rule_set(),
    }
    networks = build.build_rule_set(virtualNetworkRules=[{}])
    off = build.build_rule_set(RANGES[0], publicNetworkAccess="Disabled")
    namespace = build.build_namespace()

    assert {
        word: find_verdict(await read_firewall(kind, namespace, one)) for word, one in case.items()
    } == {word: word for word in case}
    assert [find_verdict(await read_firewall(kind, namespace, one)) for one in (networks, off)] == [
        "denied",
        "denied",
    ]


@pytest.mark.parametrize(
    ("kind", "build"),
    [("sql_server", sql_server.RESOURCES), ("postgresql_server", postgresql_server.RESOURCES)],
)
async def test_database_server_denies_addresses_outside_its_ranges(
    kind: str, build: ServerResources
) -> None:
    """The range 0.0.0.0 allows all of Azure."""
    server, rule = build.build_server, build.build_rule
    part = rule("odd", "20.61.88.130", "20.61.88.200")
    azure = rule("AllowAllWindowsAzureIps", ALL_OF_AZURE, ALL_OF_AZURE)
    perimeter = server(publicNetworkAccess="SecuredByPerimeter")

    found = judge_tag(await read_firewall(kind, server(), part), WEST, TAGS)

    assert found.missing_prefixes == ("20.61.88.128/31",)
    assert find_verdict(await read_firewall(kind, server())) == "denied"
    assert find_verdict(await read_firewall(kind, server(), azure)) == "allowed"
    assert (
        find_verdict(await read_firewall(kind, server(publicNetworkAccess="Disabled"), azure))
        == "denied"
    )
    assert find_verdict(await read_firewall(kind, perimeter, azure)) == "unknown"
    assert find_verdict(
        await read_firewall(kind, server(), rule("?", "[first()]", "20.0.0.1"))
    ) == ("unknown")


async def test_single_postgresql_server_is_read() -> None:
    """The resource type `Microsoft.DBforPostgreSQL/servers` needs an API version of its own."""
    older = postgresql_server.RESOURCES.build_server() | {
        "type": "Microsoft.DBforPostgreSQL/servers"
    }

    assert (await read_firewall("postgresql_server", older)).name == "orders-db"


async def test_public_access_of_a_flexible_server_is_a_network_property() -> None:
    off = postgresql_server.RESOURCES.build_server(network={"publicNetworkAccess": "Disabled"})

    assert find_verdict(await read_firewall("postgresql_server", off)) == "denied"
