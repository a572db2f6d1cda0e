"""Rules of Azure Firewall, classic or in policies, allow or deny inbound HTTPS."""

from collections.abc import Sequence

import pytest

from shared.domain.network.firewall import Firewall
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import fakes_of
from tests.fakes.test_world import World
from tests.kinds.case import HOST, Json, resource
from tests.kinds.firewalls.azure_firewall import (
    ADDRESS,
    collection,
    firewall,
    group,
    ip_group,
    nat_rule,
    network_rule,
    policy,
    public_address,
)
from tests.unit.uncovered import find_required_issues, tag_list

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
W, N = "20.61.88.128/26", "4.207.189.192/26"
TAGS = tag_list({WEST: [W, "2603:1061:2004:7800::/56"], NORTH: [N]})


async def read_firewalls(*resources: Json) -> list[Firewall]:
    """Return the firewalls in these resources."""
    world = World()
    world.resources = {one["id"].lower(): one for one in resources}
    return await build_firewall_kinds(fakes_of(world).ports.resources)["azure_firewall"].read()


async def read_published_firewall(*groups: Json, more: Sequence[Json] = ()) -> Firewall:
    """Return the firewall in front of the public address, with these rule groups."""
    found = await read_firewalls(firewall(), policy(), public_address(), *groups, *more)
    [one] = [one for one in found if one.name == f"edge → {ADDRESS}"]
    return one


def find_missing_tags(*firewalls: Firewall) -> list[str]:
    """Return the service tags that a European flow lacks."""
    return [
        tag
        for gap in find_required_issues(firewalls, "europe", [HOST], TAGS)
        for tag in gap.missing_tags
    ]


def build_dnat_group(*rules: Json, priority: int = 100, policy_name: str = "edge-policy") -> Json:
    """Return a rule group with a collection of DNAT rules."""
    return group(policy_name, f"g{priority}", priority, collection("nat", 1, *rules, action="Dnat"))


async def test_dnat_rule_allows_its_sources() -> None:
    """The source may be a prefix, a range or an IP group.

    The host is that of the public address.
    """
    members = ip_group("flows", "4.207.189.192-4.207.189.255")

    half = await read_published_firewall(build_dnat_group(nat_rule("flows", W)))
    whole = await read_published_firewall(
        build_dnat_group(nat_rule("flows", W, sourceIpGroups=[members["id"]])), more=[members]
    )

    assert whole.hosts == {HOST, ADDRESS}
    assert find_missing_tags(half) == [NORTH]
    assert find_missing_tags(whole) == []


async def test_fix_of_azure_firewall_is_an_ip_group() -> None:
    """The fix is an IP group, because Azure Firewall does not know the service tag."""
    table = resource(
        "Microsoft.Network/routeTables",
        "spokes",
        properties={
            "routes": [{"name": "all", "properties": {"nextHopIpAddress": "10.0.0.4"}}],
            "subnets": [{"id": "/providers/Microsoft.Network/virtualNetworks/spoke/subnets/web"}],
        },
    )

    [gap] = find_required_issues(
        [await read_published_firewall(build_dnat_group(nat_rule("flows", W)), more=[table])],
        "europe",
        [HOST],
        TAGS,
    )

    assert gap.is_certain
    assert "no feature FW" in gap.fix
    assert "IP group" in gap.fix
    assert "It protects spoke/web." in gap.message
    assert gap.missing_prefixes == (N,)


async def test_firewall_without_dnat_rules_denies_inbound_calls() -> None:
    """A firewall without DNAT rules allows no inbound call."""
    out = network_rule("out", "10.0.0.0/8", destinationAddresses=["*"])
    application = {"ruleType": "ApplicationRule", "name": "web", "sourceAddresses": ["*"]}

    [one] = await read_firewalls(
        firewall(), policy(), group("edge-policy", "g", 1, collection("c", 1, out, application))
    )

    assert (one.name, one.rules[0].name if one.rules else "", one.default) == (
        "edge",
        "out",
        "deny",
    )
    assert find_missing_tags(one) == []  # it never let a flow in, so no flow is behind it


@pytest.mark.parametrize(
    "properties",
    [
        {"destinationPorts": ["8443"]},
        {"ipProtocols": ["UDP"]},
        {"destinationAddresses": ["203.0.113.99"]},
    ],
)
async def test_dnat_rule_for_other_traffic_allows_nothing(properties: Json) -> None:
    """A DNAT rule for other traffic than HTTPS at this address allows nothing."""
    one = await read_published_firewall(
        build_dnat_group(nat_rule("flows", W), nat_rule("other", N, **properties))
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
    """A rule is evaluated if its ranges of ports and addresses include HTTPS at this address."""
    one = await read_published_firewall(
        build_dnat_group(nat_rule("flows", W), nat_rule("wider", N, **properties))
    )

    assert find_missing_tags(one) == []


@pytest.mark.parametrize(
    ("destination", "is_doubt"), [("10.0.1.0/24", True), ("*", True), ("10.0.9.0/24", False)]
)
async def test_network_rule_that_denies_translated_traffic_makes_the_issue_uncertain(
    destination: str, is_doubt: bool
) -> None:
    """Microsoft's documentation is ambiguous about such a rule, so the issue is not certain."""
    deny = network_rule("deny", N, destinationAddresses=[destination], destinationPorts=["8443"])
    denying = group("edge-policy", "late", 900, collection("c", 1, deny, action="Deny"))

    found = find_required_issues(
        [await read_published_firewall(build_dnat_group(nat_rule("flows", W, N)), denying)],
        "europe",
        [HOST],
        TAGS,
    )

    assert [(gap.is_certain, gap.missing_tags) for gap in found] == (
        [(False, (NORTH,))] if is_doubt else []
    )


async def test_each_destination_of_network_rules_is_a_separate_firewall() -> None:
    """A network rule's destination is a firewall, with the rules in the order of priority."""
    late = group("edge-policy", "late", 300, collection("c", 1, network_rule("all", "*")))
    early = group(
        "edge-policy",
        "early",
        200,
        collection("second", 20, network_rule("flows", N)),
        collection("first", 10, network_rule("deny", W, N), action="Deny"),
    )

    [one] = await read_firewalls(firewall(), policy(), late, early)

    assert one.name == "edge → 10.0.2.0/24"
    assert [rule.name for rule in one.rules] == ["deny", "flows", "all"]
    assert one.id.endswith("/azureFirewalls/edge#10.0.2.0/24")


async def test_rules_of_a_base_policy_apply_first() -> None:
    """Rules of the base policy precede, and a policy that is its own base causes no loop."""
    base = policy("base", basePolicy={"id": policy()["id"]})
    child = policy(basePolicy={"id": base["id"]})
    inherited = group("base", "g", 900, collection("c", 1, network_rule("base", "*")))
    own = group("edge-policy", "g", 100, collection("c", 1, network_rule("own", "*")))

    [one] = await read_firewalls(firewall(), child, base, inherited, own)

    assert [rule.name for rule in one.rules] == ["base", "own"]


async def test_unreadable_policy_may_allow_or_deny() -> None:
    """If the policy cannot be read, each call may be allowed or denied."""
    [one] = await read_firewalls(firewall())

    assert {rule.name for rule in one.rules} == {policy()["id"].lower()}
    assert {rule.action for rule in one.rules} == {"allow", "deny"}


async def test_policy_without_known_firewalls_is_read_separately() -> None:
    """A template may omit the firewalls of a policy, which is then read without one."""
    own = build_dnat_group(nat_rule("flows", W), policy_name="lonely")

    [alone] = await read_firewalls(policy("lonely"), own)
    none = await read_firewalls(policy("lonely", firewalls=[]), own)

    assert (alone.name, none) == (f"lonely → {ADDRESS}", [])


async def test_rules_of_a_classic_firewall_are_read_by_priority() -> None:
    """Rules of a classic firewall are in the firewall itself, in the order of priority."""

    def classic(priority: int, action: str, *rules: Json) -> Json:
        shown = {"priority": priority, "action": {"type": action}, "rules": [*rules]}
        return {"name": f"c{priority}", "properties": shown}

    def named(rule: Json) -> Json:
        rule["protocols"] = rule.pop("ipProtocols")
        return {key: value for key, value in rule.items() if key != "ruleType"}

    found = await read_firewalls(
        firewall(
            firewallPolicy=None,
            natRuleCollections=[classic(100, "Dnat", named(nat_rule("flows", W)))],
            networkRuleCollections=[
                classic(300, "Allow", named(network_rule("late", "*"))),
                classic(200, "Deny", named(network_rule("early", N))),
            ],
        ),
        public_address(),
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
        {"ruleCollections": [collection("c", 1, network_rule("r", "*"), action="Audit")]},
        {"rules": [{"ruleType": "FirewallPolicyNatRule"}]},
    ],
)
async def test_unreadable_rules_make_the_issue_uncertain(broken: Json) -> None:
    """Unreadable rules may allow or deny the address, so the issue is not certain."""
    unread = group("edge-policy", "odd", 900) | {"properties": {"priority": 900, **broken}}

    found = find_required_issues(
        [await read_published_firewall(build_dnat_group(nat_rule("flows", W, N)), unread)],
        "europe",
        [HOST],
        TAGS,
    )

    assert [gap.is_certain for gap in found] == [False]


async def test_missing_ip_group_makes_the_issue_uncertain() -> None:
    """The members of a missing IP group are unknown, so the issue is not certain."""
    gone = ip_group("gone")["id"]

    [gap] = find_required_issues(
        [
            await read_published_firewall(
                build_dnat_group(nat_rule("flows", W, sourceIpGroups=[gone]))
            )
        ],
        "europe",
        [HOST],
        TAGS,
    )

    assert (gap.is_certain, gap.missing_tags) == (False, (NORTH,))


async def test_tags_add_hosts_to_a_firewall() -> None:
    """Tags of the public address and of the firewall both add hosts."""
    tagged = public_address() | {"tags": {"cmkflow-hosts": "erp.contoso.example"}}
    whole = firewall() | {"tags": {"cmkflow-hosts": "*.contoso.example"}}

    [one] = await read_firewalls(whole, policy(), tagged, build_dnat_group(nat_rule("flows", W)))

    assert one.hosts == {HOST, ADDRESS, "erp.contoso.example", "*.contoso.example"}
