import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.geographies import GEOGRAPHIES, list_regions_of_geography
from shared.domain.network.host_matching import ClaimedHosts
from shared.domain.network.network_check import PROTECTED_TAG, NetworkCheck
from shared.domain.network.service_tags import ServiceTagList, parse_service_tags
from tests.unit.uncovered import build_tag_list, find_required_issues, find_uncovered_prefixes

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
PREFIXES = {
    "PowerPlatformPlex": ["20.61.88.128/26", "4.207.189.192/26", "2603:1061:2004::/48"],
    WEST: ["20.61.88.128/26", "2603:1061:2004:7800::/56"],
    NORTH: ["4.207.189.192/26", "2603:1061:2004:7900::/56"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
    "AzureCloud.westeurope": ["20.61.0.0/16", "2603:1061:2004:7800::/56"],
}
TAGS = build_tag_list(PREFIXES)
HOST = "api.contoso.example"


def build_rule(
    *sources: str, access: RuleAction = RuleAction.ALLOW, certain: bool = True
) -> FirewallRule:
    """Return a rule that is named after the first of its sources."""
    return FirewallRule(name=sources[0], action=access, sources=sources, is_certain=certain)


def build_group(
    *rules: FirewallRule, hosts: str = "", default: RuleAction = RuleAction.DENY
) -> Firewall:
    return Firewall(
        kind="network_security_group",
        id="/subscriptions/S/NSG",
        name="nsg",
        hosts=frozenset(hosts.split()),
        rules=rules,
        default=default,
    )


def find_missing_tags(firewall: Firewall, host: str | None = HOST) -> tuple[str, ...]:
    return tuple(
        tag
        for gap in find_required_issues([firewall], "europe", [host], TAGS)
        for tag in gap.missing_tags
    )


@pytest.mark.parametrize(
    "source", ["PowerPlatformPlex", "powerplatformplex", "AzureCloud", "Internet", "*", "0.0.0.0/0"]
)
def test_a_rule_for_a_wider_source_covers_every_region(source: str) -> None:
    assert find_missing_tags(build_group(build_rule(source), hosts=HOST)) == ()


def test_rule_for_one_region_does_not_cover_the_other_regions() -> None:
    """Flows of a geography use all its regions."""
    assert find_missing_tags(
        build_group(build_rule("powerplatformplex.WESTEUROPE"), hosts=HOST)
    ) == (NORTH,)
    assert find_missing_tags(build_group(build_rule("AzureCloud.westeurope"), hosts=HOST)) == (
        NORTH,
    )
    assert (
        find_missing_tags(build_group(build_rule("AzureCloud.westeurope", NORTH), hosts=HOST)) == ()
    )


def test_azurecloud_tag_of_a_region_covers_the_region_without_its_addresses() -> None:
    east, north = (
        build_group(build_rule("AzureCloud.eastus"), hosts=HOST),
        build_group(build_rule("AzureCloud.northeurope")),
    )

    prefixes = PREFIXES[NORTH]
    assert find_uncovered_prefixes(east, {NORTH: prefixes}, PREFIXES) == tuple(prefixes)
    assert find_uncovered_prefixes(north, {NORTH: prefixes}, PREFIXES) == ()
    assert find_missing_tags(east) == (NORTH, WEST)


def test_denied_part_of_a_tag_is_reported_as_prefixes() -> None:
    firewall = build_group(
        build_rule("20.61.88.128/27", access=RuleAction.DENY),
        build_rule("PowerPlatformPlex"),
        hosts=HOST,
    )

    [gap] = find_required_issues([firewall], "europe", [HOST], TAGS)

    assert gap.missing_tags == (WEST,)
    assert gap.missing_prefixes == ("20.61.88.128/27",)
    assert gap.is_certain
    assert "before 20.61.88.128/27" in gap.fix


def test_ipv4_rules_do_not_cover_ipv6() -> None:
    """If only IPv6 addresses are missing, the fix says when that matters."""
    firewall = build_group(build_rule("20.61.88.128/26", "4.207.189.192/26"), hosts=HOST)

    [gap] = find_required_issues([firewall], "europe", [HOST], TAGS)

    assert gap.missing_prefixes == ("2603:1061:2004:7800::/55",)
    assert "Only IPv6" in gap.fix


def test_adjacent_prefixes_cover_a_tag() -> None:
    halves = build_group(build_rule("20.61.88.128/27"), build_rule("20.61.88.160/27"))

    assert find_uncovered_prefixes(halves, {WEST: ["20.61.88.128/26"]}, PREFIXES) == ()


@pytest.mark.parametrize("source", ["[parameters('allowed')]", "SomeNewTag"])
def test_unreadable_source_makes_the_issue_uncertain(source: str) -> None:
    """The source may contain the missing addresses."""
    [gap] = find_required_issues(
        [build_group(build_rule(source), hosts=HOST)], "europe", [HOST], TAGS
    )

    assert not gap.is_certain
    assert source in gap.message


def test_unreadable_denying_rule_before_an_allowing_rule_makes_the_issue_uncertain() -> None:
    """The denying rule may contain addresses that the other rule allows."""
    unread = build_rule("[variables('blocked')]", access=RuleAction.DENY)

    assert not find_required_issues(
        [build_group(unread, build_rule("*"), hosts=HOST)], "europe", [HOST], TAGS
    )[0].is_certain


def test_rule_for_part_of_the_traffic_makes_the_issue_uncertain() -> None:
    """The firewall may still deny the flow's calls."""
    firewall = build_group(build_rule("PowerPlatformPlex", certain=False), hosts=HOST)

    [gap] = find_required_issues([firewall], "europe", [HOST], TAGS)

    assert not gap.is_certain


def test_firewall_applies_to_flows_that_call_its_hosts() -> None:
    firewall = build_group(hosts=f"{HOST} *.shop.example")

    assert find_missing_tags(firewall) == (NORTH, WEST)
    assert find_missing_tags(firewall, "eu.shop.example") == (NORTH, WEST)
    assert find_missing_tags(firewall, "other.example") == ()


@pytest.mark.parametrize("source", ["LogicApps", "AzureConnectors.WestEurope", "13.69.71.0/28"])
def test_group_that_allows_flows_applies_to_hosts_without_a_firewall(source: str) -> None:
    """A network security group that allows flows was made for flows, so it must allow the new
    addresses.
    """
    firewall = build_group(build_rule(source))

    assert find_missing_tags(firewall) == (NORTH, WEST)
    assert find_missing_tags(firewall, None) == (NORTH, WEST)


def test_group_that_allows_flows_of_another_geography_has_no_issue() -> None:
    """The group never allowed flows of this geography, so nobody made it for them."""
    assert find_missing_tags(build_group(build_rule("LogicApps.EastUS"))) == ()


def test_group_that_never_allowed_flows_has_no_issue() -> None:
    """For example, flows do not pass the network security group of a virtual network's database."""
    assert (
        find_missing_tags(build_group(build_rule("VirtualNetwork"), build_rule("10.0.0.0/8"))) == ()
    )


def test_group_without_hosts_does_not_apply_to_a_host_of_another_firewall() -> None:
    """Nothing says that the group is in front of the host."""
    claiming = build_group(build_rule("*"), hosts=HOST)

    assert (
        find_required_issues(
            [build_group(build_rule("LogicApps")), claiming], "europe", [HOST], TAGS
        )
        == []
    )


@pytest.mark.parametrize(
    "host", ["graph.microsoft.com", "prod-1.westeurope.logic.azure.com", "org.crm4.dynamics.com"]
)
def test_hosts_of_microsoft_need_no_check(host: str) -> None:
    """Customers cannot configure firewalls of Microsoft's hosts."""
    assert (
        find_required_issues([build_group(build_rule("LogicApps"))], "atlantis", [host], TAGS) == []
    )
    assert ClaimedHosts([]).list_unchecked_hosts([host]) == ()


def test_host_without_a_known_firewall_is_unchecked() -> None:
    known = build_group(build_rule("*"), hosts=HOST)

    assert ClaimedHosts([known]).list_unchecked_hosts([HOST, "elsewhere.example", None]) == (
        "elsewhere.example",
    )


def test_unknown_geography_is_an_issue() -> None:
    """A person must fix or ignore the issue."""
    [gap] = find_required_issues(
        [build_group(build_rule("*"), hosts=HOST)], "atlantis", [HOST], TAGS
    )

    assert (gap.name, gap.is_certain) == ("geography:atlantis", False)


def test_a_geography_without_a_region_in_the_list_is_never_covered() -> None:
    """The list does not show the geography's addresses, so the issue is uncertain."""
    [gap] = find_required_issues([build_group(build_rule("*"), hosts=HOST)], "uk", [HOST], TAGS)

    assert (gap.name, gap.is_certain) == ("geography:uk", False)


def test_list_without_the_tag_is_an_issue() -> None:
    old = build_tag_list({"LogicApps.WestEurope": ["13.69.71.0/25"]})
    broken = build_tag_list(
        {WEST: ["20.61.88.128/26", "[variables('more')]"], NORTH: ["4.0.0.0/8"]}
    )
    [absent] = find_required_issues(
        [build_group(build_rule("*"), hosts=HOST)], "europe", [HOST], old
    )
    [unread] = find_required_issues(
        [build_group(build_rule("*"), hosts=HOST)], "europe", [HOST], broken
    )

    assert absent.name == "service_tag:powerplatformplex"
    assert unread.name == "service_tag:powerplatformplex.westeurope"
    assert not absent.is_certain
    assert not unread.is_certain


def test_missing_optional_tag_is_reported_as_not_required() -> None:
    """Microsoft lists further tags for flows. A setting can make them required."""
    firewall = build_group(build_rule("PowerPlatformPlex", "13.69.71.0/26"), hosts=HOST)

    [told] = NetworkCheck([firewall], "europe", TAGS).find_issues([HOST])
    insisting = NetworkCheck([firewall], "europe", TAGS, ["LogicApps"]).find_issues([HOST])

    assert (told.is_required, told.missing_tags) == (False, ("LogicApps.WestEurope",))
    assert told.missing_prefixes == ("13.69.71.64/26",)
    assert "CMK_ADDITIONAL_REQUIRED_TAGS" in told.fix
    assert [(gap.is_required, gap.missing_tags) for gap in insisting] == [
        (True, ("LogicApps.WestEurope",))
    ]


def test_required_tag_that_is_not_in_the_list_is_an_issue() -> None:
    found = NetworkCheck([], "europe", TAGS, ["PowerPlatformInfra"]).find_issues([HOST])

    assert [gap.name for gap in found] == ["service_tag:powerplatforminfra"]


def test_name_of_an_issue_does_not_depend_on_the_rules() -> None:
    """A person ignores an issue by its name."""
    before, after = build_group(hosts=HOST), build_group(build_rule("LogicApps"), hosts=HOST)

    names = {
        gap.name
        for fw in (before, after)
        for gap in find_required_issues([fw], "europe", [HOST], TAGS)
    }

    assert names == {"network_security_group:/subscriptions/s/nsg"}


def _read_published_tags() -> ServiceTagList:
    [path] = Path(os.environ["FLOW_CORPUS"], "servicetags").glob("ServiceTags_Public_*.json")
    return parse_service_tags(json.loads(path.read_bytes()))


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_geography_has_its_regions_in_microsofts_list() -> None:
    tags = _read_published_tags()
    regions = tags.list_regions(PROTECTED_TAG)

    for geography in GEOGRAPHIES:
        assert (
            find_required_issues(
                [build_group(build_rule("PowerPlatformPlex"), hosts=HOST)], geography, [HOST], tags
            )
            == []
        )
    own = (f"PowerPlatformPlex.{one}" for one in list_regions_of_geography("europe", regions))
    europe = build_group(build_rule(*own), hosts=HOST)
    assert find_required_issues([europe], "europe", [HOST], tags) == []
    assert find_required_issues([europe], "unitedkingdom", [HOST], tags) != []


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_published_prefixes_cover_their_tag() -> None:
    tags = {tag.name: tag.prefixes for tag in _read_published_tags()}
    listed = tags["PowerPlatformPlex.WestEurope"]
    whole, partial = build_group(build_rule(*listed)), build_group(build_rule(*listed[1:]))
    azure = build_group(build_rule("AzureCloud.centralfrance"))
    france = tags["PowerPlatformPlex.FranceCentral"]

    assert find_uncovered_prefixes(whole, {WEST: listed}, tags) == ()
    assert (
        find_uncovered_prefixes(partial, {WEST: listed}, tags)
        == AddressRanges.parse(listed[:1]).list_prefixes()
    )
    assert find_uncovered_prefixes(azure, {"PowerPlatformPlex.FranceCentral": france}, tags) == ()


def test_external_host_is_reported_with_the_flows_that_call_it() -> None:
    check = NetworkCheck([build_group(hosts=HOST)], "europe", TAGS)
    flows = {
        HOST: ["Orders"],
        "partner.example": ["Invoices"],
        "many.example": list("abcdefg"),
        "graph.microsoft.com": ["Mail"],
    }

    partner, many = check.find_external_host_issues(flows)

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
def test_region_without_ipv4_addresses_is_an_issue_of_an_ipv4_firewall(
    default: RuleAction, sources: tuple[str, ...], is_certain: bool | None
) -> None:
    firewall = replace(
        build_group(*map(build_rule, sources), hosts=HOST, default=default),
        kind="key_vault",
        is_ipv4_only=True,
    )
    tags = build_tag_list({"PowerPlatformPlex.SpainCentral": ["2603:1061:2004:8f00::/56"]})

    found = find_required_issues([firewall], "spain", [HOST], tags)

    assert [gap.is_certain for gap in found] == ([] if is_certain is None else [is_certain])
    for gap in found:
        assert gap.missing_tags == ("PowerPlatformPlex.SpainCentral",)
        assert "has none for PowerPlatformPlex.SpainCentral" in gap.message
        assert "ignore the issue" in gap.fix
