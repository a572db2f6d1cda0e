from collections.abc import Sequence

import pytest

from shared.domain.network.firewall import Firewall
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.case import HOST, Json, build_resource
from tests.kinds.firewalls.azure_firewall import (
    ADDRESS,
    build_collection,
    build_firewall,
    build_group,
    build_ip_group,
    build_nat_rule,
    build_network_rule,
    build_policy,
    build_public_address,
)
from tests.unit.uncovered import build_tag_list, find_required_issues

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
W, N = "20.61.88.128/26", "4.207.189.192/26"
TAGS = build_tag_list({WEST: [W, "2603:1061:2004:7800::/56"], NORTH: [N]})


async def read_firewalls(*resources: Json) -> list[Firewall]:
    world = World()
    world.resources = {one["id"].lower(): one for one in resources}
    return await build_firewall_kinds(build_fakes(world).ports.resources)["azure_firewall"].read()


async def read_published_firewall(*groups: Json, more: Sequence[Json] = ()) -> Firewall:
    found = await read_firewalls(
        build_firewall(), build_policy(), build_public_address(), *groups, *more
    )
    [one] = [one for one in found if one.name == f"edge → {ADDRESS}"]
    return one


def find_missing_tags(*firewalls: Firewall) -> list[str]:
    """Return the service tags that European flows need and these firewalls do not allow."""
    return [
        tag
        for gap in find_required_issues(firewalls, "europe", [HOST], TAGS)
        for tag in gap.missing_tags
    ]


def build_dnat_group(*rules: Json, priority: int = 100, policy_name: str = "edge-policy") -> Json:
    return build_group(
        policy_name, f"g{priority}", priority, build_collection("nat", 1, *rules, action="Dnat")
    )


async def test_dnat_rule_allows_its_sources() -> None:
    members = build_ip_group("flows", "4.207.189.192-4.207.189.255")

    half = await read_published_firewall(build_dnat_group(build_nat_rule("flows", W)))
    whole = await read_published_firewall(
        build_dnat_group(build_nat_rule("flows", W, sourceIpGroups=[members["id"]])), more=[members]
    )

    assert whole.hosts == {HOST, ADDRESS}
    assert find_missing_tags(half) == [NORTH]
    assert find_missing_tags(whole) == []


async def test_fix_of_azure_firewall_is_an_ip_group() -> None:
    """Microsoft does not publish every service tag for Azure Firewall."""
    table = build_resource(
        "Microsoft.Network/routeTables",
        "spokes",
        properties={
            "routes": [{"name": "all", "properties": {"nextHopIpAddress": "10.0.0.4"}}],
            "subnets": [{"id": "/providers/Microsoft.Network/virtualNetworks/spoke/subnets/web"}],
        },
    )

    [gap] = find_required_issues(
        [await read_published_firewall(build_dnat_group(build_nat_rule("flows", W)), more=[table])],
        "europe",
        [HOST],
        TAGS,
    )

    assert gap.is_certain
    assert "does not publish every tag for Azure Firewall" in gap.fix
    assert "IP group" in gap.fix
    assert "It protects spoke/web." in gap.message
    assert gap.missing_prefixes == (N,)


async def test_firewall_without_dnat_rules_denies_inbound_calls() -> None:
    """Such a firewall was not made for calls by flows."""
    out = build_network_rule("out", "10.0.0.0/8", destinationAddresses=["*"])
    application = {"ruleType": "ApplicationRule", "name": "web", "sourceAddresses": ["*"]}

    [one] = await read_firewalls(
        build_firewall(),
        build_policy(),
        build_group("edge-policy", "g", 1, build_collection("c", 1, out, application)),
    )

    assert (one.name, one.rules[0].name if one.rules else "", one.default) == (
        "edge",
        "out",
        "deny",
    )
    assert find_missing_tags(one) == []  # it was not made for flows


@pytest.mark.parametrize(
    "properties",
    [
        {"destinationPorts": ["8443"]},
        {"ipProtocols": ["UDP"]},
        {"destinationAddresses": ["203.0.113.99"]},
    ],
)
async def test_dnat_rule_for_other_traffic_allows_nothing(properties: Json) -> None:
    one = await read_published_firewall(
        build_dnat_group(build_nat_rule("flows", W), build_nat_rule("other", N, **properties))
    )

    assert find_missing_tags(one) == [NORTH]


@pytest.mark.parametrize(
    "properties",
    [
        {"destinationPorts": ["400-500", "80"]},
        {"ipProtocols": ["Any"]},
        {"destinationAddresses": ["203.0.113.0/24"]},
        {"destinationAddresses": ["203.0.113.8-203.0.113.12"]},
    ],
)
async def test_dnat_rule_that_includes_https_is_evaluated(properties: Json) -> None:
    one = await read_published_firewall(
        build_dnat_group(build_nat_rule("flows", W), build_nat_rule("wider", N, **properties))
    )

    assert find_missing_tags(one) == []


@pytest.mark.parametrize(
    ("destination", "is_doubt"), [("10.0.1.0/24", True), ("*", True), ("10.0.9.0/24", False)]
)
async def test_network_rule_that_denies_translated_traffic_makes_the_issue_uncertain(
    destination: str, is_doubt: bool
) -> None:
    """Microsoft does not document whether network rules apply to translated traffic."""
    deny = build_network_rule(
        "deny", N, destinationAddresses=[destination], destinationPorts=["8443"]
    )
    denying = build_group("edge-policy", "late", 900, build_collection("c", 1, deny, action="Deny"))

    found = find_required_issues(
        [await read_published_firewall(build_dnat_group(build_nat_rule("flows", W, N)), denying)],
        "europe",
        [HOST],
        TAGS,
    )

    assert [(gap.is_certain, gap.missing_tags) for gap in found] == (
        [(False, (NORTH,))] if is_doubt else []
    )


async def test_each_destination_of_network_rules_is_a_separate_firewall() -> None:
    late = build_group(
        "edge-policy", "late", 300, build_collection("c", 1, build_network_rule("all", "*"))
    )
    early = build_group(
        "edge-policy",
        "early",
        200,
        build_collection("second", 20, build_network_rule("flows", N)),
        build_collection("first", 10, build_network_rule("deny", W, N), action="Deny"),
    )

    [one] = await read_firewalls(build_firewall(), build_policy(), late, early)

    assert one.name == "edge → 10.0.2.0/24"
    assert [rule.name for rule in one.rules] == ["deny", "flows", "all"]
    assert one.id.endswith("/azureFirewalls/edge#10.0.2.0/24")


async def test_rules_of_a_base_policy_apply_first() -> None:
    base = build_policy("base", basePolicy={"id": build_policy()["id"]})
    child = build_policy(basePolicy={"id": base["id"]})
    inherited = build_group(
        "base", "g", 900, build_collection("c", 1, build_network_rule("base", "*"))
    )
    own = build_group(
        "edge-policy", "g", 100, build_collection("c", 1, build_network_rule("own", "*"))
    )

    [one] = await read_firewalls(build_firewall(), child, base, inherited, own)

    assert [rule.name for rule in one.rules] == ["base", "own"]


async def test_unreadable_policy_may_allow_or_deny() -> None:
    [one] = await read_firewalls(build_firewall())

    assert {rule.name for rule in one.rules} == {build_policy()["id"].lower()}
    assert {rule.action for rule in one.rules} == {"allow", "deny"}


async def test_policy_without_known_firewalls_is_read_separately() -> None:
    """A template may omit the property `firewalls` of a policy."""
    own = build_dnat_group(build_nat_rule("flows", W), policy_name="lonely")

    [alone] = await read_firewalls(build_policy("lonely"), own)
    none = await read_firewalls(build_policy("lonely", firewalls=[]), own)

    assert (alone.name, none) == (f"lonely → {ADDRESS}", [])


async def test_rules_of_a_classic_firewall_are_read_by_priority() -> None:
    def build_classic_collection(priority: int, action: str, *rules: Json) -> Json:
        shown = {"priority": priority, "action": {"type": action}, "rules": [*rules]}
        return {"name": f"c{priority}", "properties": shown}

    def rename_protocols(rule: Json) -> Json:
        rule["protocols"] = rule.pop("ipProtocols")
        return {key: value for key, value in rule.items() if key != "ruleType"}

    found = await read_firewalls(
        build_firewall(
            firewallPolicy=None,
            natRuleCollections=[
                build_classic_collection(100, "Dnat", rename_protocols(build_nat_rule("flows", W)))
            ],
            networkRuleCollections=[
                build_classic_collection(
                    300, "Allow", rename_protocols(build_network_rule("late", "*"))
                ),
                build_classic_collection(
                    200, "Deny", rename_protocols(build_network_rule("early", N))
                ),
            ],
        ),
        build_public_address(),
    )

    first, second = found
    assert (first.name, find_missing_tags(first)) == (f"edge → {ADDRESS}", [NORTH])
    assert [rule.name for rule in second.rules] == ["early", "late"]


@pytest.mark.parametrize(
    "broken",
    [
        {"ruleCollections": "[parameters('rules')]"},
        {"ruleCollections": [{"name": "c", "rules": "[parameters('rules')]"}]},
        {"ruleCollections": [{"name": "c", "rules": [{"ruleType": "NewRule", "name": "r"}]}]},
        {
            "ruleCollections": [
                build_collection("c", 1, build_network_rule("r", "*"), action="Audit")
            ]
        },
        {"rules": [{"ruleType": "FirewallPolicyNatRule"}]},
    ],
)
async def test_unreadable_rules_make_the_issue_uncertain(broken: Json) -> None:
    unread = build_group("edge-policy", "odd", 900) | {"properties": {"priority": 900, **broken}}

    found = find_required_issues(
        [await read_published_firewall(build_dnat_group(build_nat_rule("flows", W, N)), unread)],
        "europe",
        [HOST],
        TAGS,
    )

    assert [gap.is_certain for gap in found] == [False]


async def test_missing_ip_group_makes_the_issue_uncertain() -> None:
    gone = build_ip_group("gone")["id"]

    [gap] = find_required_issues(
        [
            await read_published_firewall(
                build_dnat_group(build_nat_rule("flows", W, sourceIpGroups=[gone]))
            )
        ],
        "europe",
        [HOST],
        TAGS,
    )

    assert (gap.is_certain, gap.missing_tags) == (False, (NORTH,))


async def test_tags_add_hosts_to_a_firewall() -> None:
    tagged = build_public_address() | {"tags": {"cmkflow-hosts": "erp.contoso.example"}}
    whole = build_firewall() | {"tags": {"cmkflow-hosts": "*.contoso.example"}}

    [one] = await read_firewalls(
        whole, build_policy(), tagged, build_dnat_group(build_nat_rule("flows", W))
    )

    assert one.hosts == {HOST, ADDRESS, "erp.contoso.example", "*.contoso.example"}
