import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shared.domain.definitions.json_values import as_mapping
from shared.domain.network.firewall import Firewall, RuleAction
from shared.firewalls import build_firewall_kinds
from shared.firewalls.app_service import parse_site
from shared.firewalls.network_security_group import parse_group
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.case import HOST, Json, build_resource
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.kinds.firewalls.app_service import build_restriction, build_site, build_web_config
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule
from tests.unit.uncovered import build_tag_list, find_required_issues

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
TAGS = build_tag_list(
    {
        WEST: ["20.61.88.128/26"],
        NORTH: ["4.207.189.192/26"],
        "LogicApps": ["13.69.71.0/25", "52.146.139.220/31"],
        "LogicApps.WestEurope": ["13.69.71.0/25"],
    }
)


def find_missing_tags(*firewalls: Firewall, host: str | None = HOST) -> list[str]:
    """Return the service tags that European flows need and these firewalls do not allow."""
    found = find_required_issues(firewalls, "europe", [host], TAGS)
    return [tag for gap in found for tag in gap.missing_tags]


def list_rule_names(firewall: Firewall) -> list[str]:
    return [rule.name for rule in firewall.rules]


def test_rules_of_a_group_are_in_the_order_of_priority() -> None:
    [firewall] = parse_group(
        build_security_group(
            build_security_rule("second", 200), build_security_rule("first", 100, access="Deny")
        )
    )

    assert list_rule_names(firewall) == ["first", "second", "AllowVnetInBound", "DenyAllInBound"]
    assert firewall.rules[0].action is RuleAction.DENY


@pytest.mark.parametrize(
    "properties",
    [
        {"direction": "Outbound"},
        {"protocol": "Udp"},
        {"destinationPortRange": "22"},
        {"destinationPortRange": None, "destinationPortRanges": ["80", "8080-8090"]},
    ],
)
def test_rules_for_other_traffic_are_ignored(properties: Json) -> None:
    [firewall] = parse_group(build_security_group(build_security_rule("other", 100, **properties)))

    assert "other" not in list_rule_names(firewall)


@pytest.mark.parametrize(
    "properties",
    [
        {"protocol": "*"},
        {"destinationPortRange": "*"},
        {"destinationPortRange": "400-500"},
        {"destinationPortRange": "", "destinationPortRanges": ["80", "443"]},
    ],
)
def test_rules_that_include_https_are_evaluated(properties: Json) -> None:
    [firewall] = parse_group(build_security_group(build_security_rule("ours", 100, **properties)))

    assert firewall.rules[0].name == "ours"
    assert firewall.rules[0].is_certain


def test_group_that_allows_only_the_old_ranges_has_an_issue() -> None:
    old = build_security_rule("flows", 100, sourceAddressPrefix="LogicApps")
    new = build_security_rule(
        "plex", 110, sourceAddressPrefixes=[WEST, NORTH], sourceAddressPrefix=""
    )

    assert find_missing_tags(*parse_group(build_security_group(old))) == [NORTH, WEST]
    assert find_missing_tags(*parse_group(build_security_group(old, new))) == []


def test_rule_that_denies_before_the_allowing_rule_is_an_issue() -> None:
    allow = build_security_rule("plex", 200, sourceAddressPrefix="PowerPlatformPlex")
    deny = build_security_rule("block", 100, sourceAddressPrefix="20.61.88.128/25", access="Deny")
    flows = build_security_rule("flows", 150, sourceAddressPrefix="LogicApps")

    assert find_missing_tags(*parse_group(build_security_group(allow, deny, flows))) == [WEST]


def test_each_destination_of_a_group_is_a_separate_firewall() -> None:
    firewalls = parse_group(
        build_security_group(
            build_security_rule(
                "a-old",
                100,
                sourceAddressPrefix="LogicApps",
                destinationAddressPrefix="10.0.1.0/24",
            ),
            build_security_rule(
                "a-new",
                110,
                sourceAddressPrefix="PowerPlatformPlex",
                destinationAddressPrefix="10.0.0.0/16",
            ),
            build_security_rule(
                "b-old", 120, sourceAddressPrefix="LogicApps", destinationAddressPrefix="10.9.0.4"
            ),
            build_security_rule("web", 130, destinationAddressPrefix="10.8.0.4"),
        )
    )

    found = find_required_issues(firewalls, "europe", ["api.contoso.example"], TAGS)

    assert [gap.firewall_name for gap in found] == ["edge → 10.9.0.4"]
    assert found[0].is_certain
    assert found[0].name.endswith("/networksecuritygroups/edge#10.9.0.4")


def test_tag_names_the_hosts_of_a_group() -> None:
    """A network security group contains no host names."""
    group = build_security_group(tags={"CmkFlow-Hosts": "API.contoso.example, *.shop.example"})

    [firewall] = parse_group(group)

    assert firewall.hosts == {"api.contoso.example", "*.shop.example"}
    assert find_missing_tags(firewall) == [NORTH, WEST]
    assert find_missing_tags(firewall, host="eu.shop.example") == [NORTH, WEST]
    assert find_missing_tags(firewall, host="other.example") == []


@pytest.mark.parametrize("attached", ["subnets", "networkInterfaces", "by the interface"])
async def test_host_of_a_public_address_belongs_to_the_group_of_its_interface(
    attached: str,
) -> None:
    subnet = {"id": "/subscriptions/s/virtualNetworks/n/subnets/Web"}
    address = build_resource(
        "Microsoft.Network/publicIPAddresses", "ip", properties={"ipAddress": "203.0.113.7"}
    )
    configuration = {
        "privateIPAddress": "10.0.0.4",
        "publicIPAddress": {"id": address["id"].upper()},
        "subnet": subnet,
    }
    interface = build_resource(
        "Microsoft.Network/networkInterfaces",
        "nic",
        properties={"ipConfigurations": [{"name": "c", "properties": configuration}]},
    )
    group = build_security_group(
        build_security_rule(
            "a", 100, sourceAddressPrefix=WEST, destinationAddressPrefix="10.0.0.0/24"
        ),
        build_security_rule(
            "b", 110, sourceAddressPrefix=NORTH, destinationAddressPrefix="10.0.9.4"
        ),
    )
    if attached == "by the interface":  # as a template writes it
        interface["properties"]["networkSecurityGroup"] = {"id": group["id"]}
    else:
        place = subnet if attached == "subnets" else interface
        group["properties"][attached] = [{"id": place["id"]}]
    world = World()
    world.resources = {one["id"].lower(): one for one in (group, address, interface)}

    found = await build_firewall_kinds(build_fakes(world).ports.resources)[
        "network_security_group"
    ].read()

    [machine] = [one for one in found if one.hosts]
    assert machine.name == "edge → 10.0.0.4"
    assert machine.hosts == {"203.0.113.7"}
    assert find_missing_tags(machine, host="203.0.113.7") == [NORTH]


@pytest.mark.parametrize(
    "properties",
    [
        {"destinationAddressPrefix": "10.0.0.4"},
        {"sourcePortRange": "1024-2048"},
        {"destinationPortRange": "[parameters('port')]"},
        {"sourceAddressPrefix": "[parameters('allowed')]"},
        {"access": "[parameters('access')]"},
    ],
)
def test_incomplete_rule_makes_the_issue_uncertain(properties: Json) -> None:
    rule = build_security_rule("half", 100, **{"sourceAddressPrefix": "*", **properties})
    [firewall] = parse_group(
        build_security_group(rule, tags={"cmkflow-hosts": "api.contoso.example"})
    )

    [gap] = find_required_issues([firewall], "europe", ["api.contoso.example"], TAGS)

    assert gap.missing_tags == (NORTH, WEST)
    assert gap.is_certain == ("access" in properties)


def test_site_without_restrictions_has_no_issue() -> None:
    firewall = parse_site(build_site(), build_web_config(build_restriction("Any", 2147483647)))

    assert firewall.hosts == {"orders-api.azurewebsites.net", "api.contoso.example"}
    assert find_missing_tags(firewall) == []


def test_site_with_a_restriction_denies_other_addresses() -> None:
    firewall = parse_site(build_site(), build_web_config(build_restriction("203.0.113.0/24", 100)))

    assert firewall.default is RuleAction.DENY
    assert find_missing_tags(firewall) == [NORTH, WEST]


def test_default_action_of_a_site_applies_to_other_addresses() -> None:
    """A site may deny some addresses and allow all others."""
    config = build_web_config(
        build_restriction("20.61.88.128/26", 100, "Deny"),
        ipSecurityRestrictionsDefaultAction="Allow",
    )

    assert find_missing_tags(parse_site(build_site(), config)) == [WEST]


def test_restrictions_of_a_site_accept_service_tags_and_prefix_lists() -> None:
    """A restriction names one tag, or several prefixes separated by commas."""
    config = build_web_config(
        build_restriction("PowerPlatformPlex.westeurope", 100, tag="ServiceTag"),
        build_restriction("4.207.189.192/27,4.207.189.224/27", 110),
    )

    assert find_missing_tags(parse_site(build_site(), config)) == []


def test_restrictions_to_subnets_or_headers_allow_no_flow() -> None:
    config = build_web_config(
        {"vnetSubnetResourceId": "/subnets/s", "priority": 100, "action": "Allow", "name": "net"},
        build_restriction("AzureFrontDoor.Backend", 110, headers={"x-azure-fdid": ["1"]}),
    )

    assert find_missing_tags(parse_site(build_site(), config)) == [NORTH, WEST]


def test_site_without_public_access_denies_every_address() -> None:
    """Without public access, restrictions do not matter."""
    config = build_web_config(build_restriction("Any", 100), publicNetworkAccess="Disabled")

    assert find_missing_tags(parse_site(build_site(), config)) == [NORTH, WEST]


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_firewall_of_each_kind_lacks_new_ranges_until_a_rule_allows_them(kind: str) -> None:
    case, world = load_firewall_case(kind), World()
    read = build_firewall_kinds(build_fakes(world).ports.resources)[kind].read

    async def read_missing_tags(*tags: str) -> list[str]:
        resources = case.resources(case.build_sources(tags, TAGS))
        world.resources = {path.lower(): one for path, one in resources.items()}
        [firewall] = [one for one in await read() if one.name == case.name]
        assert firewall.kind == kind
        return find_missing_tags(firewall)

    assert await read_missing_tags("LogicApps") == [NORTH, WEST]
    assert await read_missing_tags("LogicApps", WEST) == [NORTH]
    assert await read_missing_tags("LogicApps", WEST, NORTH) == []


async def test_site_deleted_between_list_and_configuration_is_omitted() -> None:
    world = World()
    world.resources = {one["id"].lower(): one for one in (build_site("living"), build_site("gone"))}
    world.resources[f"{build_site('living')['id']}/config/web".lower()] = build_web_config()

    found = await build_firewall_kinds(build_fakes(world).ports.resources)["app_service"].read()

    assert [firewall.name for firewall in found] == ["living", "living (scm)"]


def _find_objects(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from _find_objects(member)
    if isinstance(value, list):
        for item in value:
            yield from _find_objects(item)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_collected_group_can_be_read() -> None:
    folder = Path(os.environ["FLOW_CORPUS"], "firewall")
    groups = [
        group
        for path in sorted(folder.rglob("*.json"))
        for group in _find_objects(json.loads(path.read_text(encoding="utf-8-sig")))
        if "securityRules" in as_mapping(group.get("properties"))
    ]

    firewalls = {str(group["name"]): parse_group(group) for group in groups}

    assert len(groups) == 9
    assert list_rule_names(firewalls["c7n-nsg"][0])[-1] == "DenyAllInBound"
    found = [
        gap
        for read in firewalls.values()
        for gap in find_required_issues(read, "europe", [None], TAGS)
    ]
    assert all(gap.missing_tags for gap in found)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_group_that_allows_the_internet_has_no_issue() -> None:
    """The network security group of a bastion allows HTTPS from the Internet before it denies the
    rest.
    """
    folder = Path(os.environ["FLOW_CORPUS"], "firewall", "azure-network-security")
    [path] = folder.glob("*DNS_Proxy_in_Hub_and_Spoke*")
    [group] = [
        group
        for group in _find_objects(json.loads(path.read_text(encoding="utf-8-sig")))
        if as_mapping(group.get("properties")).get("securityRules")
    ]

    assert find_missing_tags(*parse_group(group)) == []
