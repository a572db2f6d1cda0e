"""Which firewalls concern a flow, and what they keep out."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.geographies import GEOGRAPHIES, regions_of
from shared.domain.network.host_matching import ClaimedHosts
from shared.domain.network.network_check import PROTECTED_TAG, NetworkCheck
from shared.domain.network.service_tags import ServiceTagList, read_service_tags
from tests.unit.uncovered import gaps, tag_list, uncovered

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
PREFIXES = {
    "PowerPlatformPlex": ["20.61.88.128/26", "4.207.189.192/26", "2603:1061:2004::/48"],
    WEST: ["20.61.88.128/26", "2603:1061:2004:7800::/56"],
    NORTH: ["4.207.189.192/26", "2603:1061:2004:7900::/56"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
    "AzureCloud.westeurope": ["20.61.0.0/16", "2603:1061:2004:7800::/56"],
}
TAGS = tag_list(PREFIXES)
HOST = "api.contoso.example"


def rule(
    *sources: str, access: RuleAction = RuleAction.ALLOW, certain: bool = True
) -> FirewallRule:
    """Return a rule about these sources, named after the first."""
    return FirewallRule(name=sources[0], action=access, sources=sources, is_certain=certain)


def group(*rules: FirewallRule, hosts: str = "", default: RuleAction = RuleAction.DENY) -> Firewall:
    """Return a network security group."""
    return Firewall(
        kind="network_security_group",
        id="/subscriptions/S/NSG",
        name="nsg",
        hosts=frozenset(hosts.split()),
        rules=rules,
        default=default,
    )


def missing(firewall: Firewall, host: str | None = HOST) -> tuple[str, ...]:
    """Return the tags that a European flow which calls a host lacks at a firewall."""
    return tuple(
        tag for gap in gaps([firewall], "europe", [host], TAGS) for tag in gap.missing_tags
    )


@pytest.mark.parametrize(
    "source", ["PowerPlatformPlex", "powerplatformplex", "AzureCloud", "Internet", "*", "0.0.0.0/0"]
)
def test_a_rule_for_a_wider_source_covers_every_region(source: str) -> None:
    """The global tag, Azure as a whole and the Internet hold all regional ranges."""
    assert missing(group(rule(source), hosts=HOST)) == ()


def test_a_rule_for_one_region_leaves_the_others_out() -> None:
    """All regions of the geography have to be let in, whatever the spelling of a tag."""
    assert missing(group(rule("powerplatformplex.WESTEUROPE"), hosts=HOST)) == (NORTH,)
    assert missing(group(rule("AzureCloud.westeurope"), hosts=HOST)) == (NORTH,)
    assert missing(group(rule("AzureCloud.westeurope", NORTH), hosts=HOST)) == ()


def test_all_of_azure_in_a_region_is_told_without_its_addresses() -> None:
    """A list may leave it out: it holds what the tag has there, and nothing of other regions."""
    east, north = (
        group(rule("AzureCloud.eastus"), hosts=HOST),
        group(rule("AzureCloud.northeurope")),
    )

    prefixes = PREFIXES[NORTH]
    assert uncovered(east, {NORTH: prefixes}, PREFIXES) == tuple(prefixes)
    assert uncovered(north, {NORTH: prefixes}, PREFIXES) == ()
    assert missing(east) == (NORTH, WEST)


def test_a_denied_part_of_a_tag_is_named_in_prefixes() -> None:
    """A rule before the allowing one takes its part of the tag away."""
    firewall = group(
        rule("20.61.88.128/27", access=RuleAction.DENY), rule("PowerPlatformPlex"), hosts=HOST
    )

    [gap] = gaps([firewall], "europe", [HOST], TAGS)

    assert gap.missing_tags == (WEST,)
    assert gap.missing_prefixes == ("20.61.88.128/27",)
    assert gap.is_certain
    assert "before 20.61.88.128/27" in gap.fix


def test_ipv4_rules_do_not_cover_ipv6() -> None:
    """The versions are apart, and a gap of IPv6 alone says when it matters."""
    firewall = group(rule("20.61.88.128/26", "4.207.189.192/26"), hosts=HOST)

    [gap] = gaps([firewall], "europe", [HOST], TAGS)

    assert gap.missing_prefixes == ("2603:1061:2004:7800::/55",)
    assert "Only IPv6" in gap.fix


def test_neighbouring_prefixes_cover_a_tag_together() -> None:
    """Two halves are as good as the whole."""
    halves = group(rule("20.61.88.128/27"), rule("20.61.88.160/27"))

    assert uncovered(halves, {WEST: ["20.61.88.128/26"]}, PREFIXES) == ()


@pytest.mark.parametrize("source", ["[parameters('allowed')]", "SomeNewTag"])
def test_a_source_that_cannot_be_read_is_a_doubt(source: str) -> None:
    """Neither open nor closed: the gap says that it is not certain and for which rule."""
    [gap] = gaps([group(rule(source), hosts=HOST)], "europe", [HOST], TAGS)

    assert not gap.is_certain
    assert source in gap.message


def test_a_doubt_before_a_rule_that_allows_is_a_doubt() -> None:
    """A denying rule that cannot be read may take away what the next one gives."""
    unread = rule("[variables('blocked')]", access=RuleAction.DENY)

    assert not gaps([group(unread, rule("*"), hosts=HOST)], "europe", [HOST], TAGS)[0].is_certain


def test_a_rule_about_part_of_the_traffic_settles_nothing() -> None:
    """What a narrower rule allows may still be refused."""
    firewall = group(rule("PowerPlatformPlex", certain=False), hosts=HOST)

    [gap] = gaps([firewall], "europe", [HOST], TAGS)

    assert not gap.is_certain


def test_a_firewall_concerns_the_flows_that_call_its_hosts() -> None:
    """Another host is another system's business."""
    firewall = group(hosts=f"{HOST} *.shop.example")

    assert missing(firewall) == (NORTH, WEST)
    assert missing(firewall, "eu.shop.example") == (NORTH, WEST)
    assert missing(firewall, "other.example") == ()


@pytest.mark.parametrize("source", ["LogicApps", "AzureConnectors.WestEurope", "13.69.71.0/28"])
def test_a_group_that_admits_flows_concerns_flows_with_hosts_of_nobody(source: str) -> None:
    """It was configured for flow traffic, so it needs the new ranges too."""
    firewall = group(rule(source))

    assert missing(firewall) == (NORTH, WEST)
    assert missing(firewall, None) == (NORTH, WEST)


def test_a_group_that_admits_flows_of_another_geography_concerns_nobody_here() -> None:
    """A European flow never got through it."""
    assert missing(group(rule("LogicApps.EastUS"))) == ()


def test_a_group_that_never_admitted_flows_concerns_nobody() -> None:
    """A database's own group is not in the way of a flow."""
    assert missing(group(rule("VirtualNetwork"), rule("10.0.0.0/8"))) == ()


def test_a_group_without_hosts_is_not_in_the_way_of_a_claimed_host() -> None:
    """A host that another firewall claims does not lie behind this one."""
    claiming = group(rule("*"), hosts=HOST)

    assert gaps([group(rule("LogicApps")), claiming], "europe", [HOST], TAGS) == []


@pytest.mark.parametrize(
    "host", ["graph.microsoft.com", "prod-1.westeurope.logic.azure.com", "org.crm4.dynamics.com"]
)
def test_hosts_of_microsoft_need_no_check(host: str) -> None:
    """Their firewalls are not the customer's; not even an unknown geography matters."""
    assert gaps([group(rule("LogicApps"))], "atlantis", [host], TAGS) == []
    assert ClaimedHosts([]).unchecked([host]) == ()


def test_a_host_behind_no_known_firewall_is_named_as_unchecked() -> None:
    """Reports can say what nobody could check."""
    known = group(rule("*"), hosts=HOST)

    assert ClaimedHosts([known]).unchecked([HOST, "elsewhere.example", None]) == (
        "elsewhere.example",
    )


def test_an_unknown_geography_is_never_covered() -> None:
    """Without its regions nothing can be said, so the gap has to be waived by a person."""
    [gap] = gaps([group(rule("*"), hosts=HOST)], "atlantis", [HOST], TAGS)

    assert (gap.name, gap.is_certain) == ("geography:atlantis", False)


def test_a_geography_without_a_region_in_the_list_is_never_covered() -> None:
    """The list has the tag, but nobody knows which of its addresses count."""
    [gap] = gaps([group(rule("*"), hosts=HOST)], "uk", [HOST], TAGS)

    assert (gap.name, gap.is_certain) == ("geography:uk", False)


def test_a_list_without_the_tag_is_never_covered() -> None:
    """One from before the tag existed proves nothing; nor does a tag that cannot be read."""
    old = tag_list({"LogicApps.WestEurope": ["13.69.71.0/25"]})
    broken = tag_list({WEST: ["20.61.88.128/26", "[variables('more')]"], NORTH: ["4.0.0.0/8"]})
    [absent] = gaps([group(rule("*"), hosts=HOST)], "europe", [HOST], old)
    [unread] = gaps([group(rule("*"), hosts=HOST)], "europe", [HOST], broken)

    assert absent.name == "service_tag:powerplatformplex"
    assert unread.name == "service_tag:powerplatformplex.westeurope"
    assert not absent.is_certain
    assert not unread.is_certain


def test_tags_that_are_not_required_are_told_beside() -> None:
    """Microsoft's page on IP addresses asks for them too: a setting makes them required."""
    firewall = group(rule("PowerPlatformPlex", "13.69.71.0/26"), hosts=HOST)

    [told] = NetworkCheck([firewall], "europe", TAGS).find_issues([HOST])
    insisting = NetworkCheck([firewall], "europe", TAGS, ["LogicApps"]).find_issues([HOST])

    assert (told.is_required, told.missing_tags) == (False, ("LogicApps.WestEurope",))
    assert told.missing_prefixes == ("13.69.71.64/26",)
    assert "CMK_ADDITIONAL_REQUIRED_TAGS" in told.fix
    assert [(gap.is_required, gap.missing_tags) for gap in insisting] == [
        (True, ("LogicApps.WestEurope",))
    ]


def test_a_tag_that_is_required_and_not_in_the_list_is_never_covered() -> None:
    """Whoever insists on it hears that nobody can check it."""
    found = NetworkCheck([], "europe", TAGS, ["PowerPlatformInfra"]).find_issues([HOST])

    assert [gap.name for gap in found] == ["service_tag:powerplatforminfra"]


def test_a_gap_keeps_its_name() -> None:
    """A waiver has to fit the next check, whatever the rules and the case of the id are by then."""
    before, after = group(hosts=HOST), group(rule("LogicApps"), hosts=HOST)

    names = {gap.name for fw in (before, after) for gap in gaps([fw], "europe", [HOST], TAGS)}

    assert names == {"network_security_group:/subscriptions/s/nsg"}


def _published() -> ServiceTagList:
    [path] = Path(os.environ["FLOW_CORPUS"], "servicetags").glob("ServiceTags_Public_*.json")
    return read_service_tags(json.loads(path.read_bytes()))


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_geography_has_its_regions_in_microsofts_list() -> None:
    """They are covered by the global tag, and each by its own regions alone."""
    tags = _published()
    regions = tags.regions(PROTECTED_TAG)

    for geography in GEOGRAPHIES:
        assert gaps([group(rule("PowerPlatformPlex"), hosts=HOST)], geography, [HOST], tags) == []
    own = (f"PowerPlatformPlex.{one}" for one in regions_of("europe", regions))
    europe = group(rule(*own), hosts=HOST)
    assert gaps([europe], "europe", [HOST], tags) == []
    assert gaps([europe], "unitedkingdom", [HOST], tags) != []


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_the_published_ranges_cover_a_tag_by_arithmetic_alone() -> None:
    """Explicit prefixes copied from the list are as good as the tag; one missing prefix shows."""
    tags = {tag.name: tag.prefixes for tag in _published()}
    listed = tags["PowerPlatformPlex.WestEurope"]
    whole, partial = group(rule(*listed)), group(rule(*listed[1:]))
    azure = group(rule("AzureCloud.centralfrance"))
    france = tags["PowerPlatformPlex.FranceCentral"]

    assert uncovered(whole, {WEST: listed}, tags) == ()
    assert uncovered(partial, {WEST: listed}, tags) == AddressRanges.of(listed[:1]).prefixes()
    assert uncovered(azure, {"PowerPlatformPlex.FranceCentral": france}, tags) == ()


def test_a_host_of_others_is_told_with_the_flows_that_call_it() -> None:
    """Five of them by name; a host that a firewall claims, and Microsoft's own, are not others'."""
    check = NetworkCheck([group(hosts=HOST)], "europe", TAGS)
    flows = {
        HOST: ["Orders"],
        "partner.example": ["Invoices"],
        "many.example": list("abcdefg"),
        "graph.microsoft.com": ["Mail"],
    }

    partner, many = check.find_external_hosts(flows)

    assert (partner.name, partner.is_required) == ("external_target:partner.example", False)
    assert "partner.example, which Invoices calls." in partner.message
    assert "a, b, c, d, e and 2 more call." in many.message
    assert partner.missing_tags == (NORTH, WEST)
    assert set(partner.missing_prefixes) == {
        "20.61.88.128/26",
        "4.207.189.192/26",
        "2603:1061:2004:7800::/55",
    }


@pytest.mark.parametrize(
    ("default", "sources", "is_certain"),
    [
        (RuleAction.DENY, (), True),
        (RuleAction.DENY, ("198.51.100.7",), False),
        (RuleAction.ALLOW, (), None),
    ],
)
def test_a_region_without_ipv4_addresses_is_a_gap_of_a_firewall_that_takes_no_other(
    default: RuleAction, sources: tuple[str, ...], is_certain: bool | None
) -> None:
    """Nobody knows which addresses come: certain is only what meets all of them."""
    firewall = replace(
        group(*map(rule, sources), hosts=HOST, default=default), kind="key_vault", is_ipv4_only=True
    )
    tags = tag_list({"PowerPlatformPlex.SpainCentral": ["2603:1061:2004:8f00::/56"]})

    found = gaps([firewall], "spain", [HOST], tags)

    assert [gap.is_certain for gap in found] == ([] if is_certain is None else [is_certain])
    for gap in found:
        assert gap.missing_tags == ("PowerPlatformPlex.SpainCentral",)
        assert "has none for PowerPlatformPlex.SpainCentral" in gap.message
        assert "ignore the issue" in gap.fix
