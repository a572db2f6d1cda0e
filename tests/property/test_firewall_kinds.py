"""Test that the app's models of firewalls allow the same addresses as independent models."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.ip_filter import build_firewall_from_filters, parse_ip_filter_policy
from shared.firewalls import build_firewall_kinds
from shared.firewalls.api_management import build_open_service_firewall
from shared.firewalls.app_service import parse_scm_site, parse_site
from shared.firewalls.network_security_group import parse_group
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.kinds.firewalls import api_management
from tests.kinds.firewalls.app_service import build_restriction, build_site, build_web_config
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule
from tests.unit.uncovered import build_tag_list

type Json = dict[str, Any]

#: The callers that are asked about, one by one; a tag holds the second half of them.
CALLERS = [str(one) for one in ip_network("8.0.0.0/28")]
TAG = "PowerPlatformPlex.WestEurope"
SOURCES = RuleSources(build_tag_list({TAG: ["8.0.0.8/29"]}), ["PowerPlatformPlex"])
PREFIX = st.builds(
    lambda host, bits: f"8.0.0.{host}/{bits}", st.integers(0, 15), st.integers(28, 32)
)
PREFIXES = st.lists(PREFIX, max_size=4).map(
    lambda listed: [str(ip_network(one, strict=False)) for one in listed]
)
SOURCE = st.one_of(PREFIX, st.sampled_from([TAG, TAG.lower(), "*", "VirtualNetwork"]))
ACCESS = st.sampled_from(["Allow", "Deny"])
#: Kinds that are a list of addresses, and nobody else.
LISTS = [
    kind
    for kind in FIREWALL_KINDS
    if not load_firewall_case(kind).takes_service_tags and kind != "azure_firewall"
]


def list_allowed_addresses(firewall: Firewall) -> list[str]:
    """Return which of the test's addresses the app's model certainly allows."""
    admission = evaluate_rules(firewall, SOURCES)
    assert not AddressRanges.parse(CALLERS) & admission.doubtful
    return [one for one in CALLERS if AddressRanges.parse([one]) <= admission.allowed]


def has_address(source: str, caller: str) -> bool:
    prefix = {"*": "8.0.0.0/8", "virtualnetwork": "10.0.0.0/8", TAG.lower(): "8.0.0.8/29"}
    return ip_address(caller) in ip_network(prefix.get(source.lower(), source), strict=False)


def list_first_allowed(rules: Sequence[tuple[str, list[str]]], default: str) -> list[str]:
    """Return the callers that the first matching rule allows. `default` counts if none matches."""
    return [
        caller
        for caller in CALLERS
        if next(
            (
                access
                for access, sources in rules
                if any(has_address(one, caller) for one in sources)
            ),
            default,
        )
        == "Allow"
    ]


@st.composite
def draw_security_rules(draw: st.DrawFn) -> list[Json]:
    ports = st.sampled_from(["443", "*", "400-500", "80"])
    return [
        build_security_rule(
            f"r{priority}",
            priority,
            access=draw(ACCESS),
            direction=draw(st.sampled_from(["Inbound", "Outbound"])),
            protocol=draw(st.sampled_from(["Tcp", "*", "Udp"])),
            destinationPortRange=draw(ports),
            sourceAddressPrefix="",
            sourceAddressPrefixes=draw(st.lists(SOURCE, min_size=1, max_size=2)),
        )
        for priority in draw(st.permutations(range(100, 100 + draw(st.integers(0, 5)))))
    ]


@given(draw_security_rules())
def test_first_rule_of_a_network_security_group_decides(rules: list[Json]) -> None:
    """The first rule is the one with the lowest priority number."""
    [firewall] = parse_group(build_security_group(*rules))

    about = [
        one["properties"]
        for one in sorted(rules, key=lambda one: one["properties"]["priority"])
        if one["properties"]["direction"] == "Inbound"
        and one["properties"]["protocol"] != "Udp"
        and one["properties"]["destinationPortRange"] != "80"
    ]
    expected = list_first_allowed(
        [(one["access"], one["sourceAddressPrefixes"]) for one in about], "Deny"
    )
    assert list_allowed_addresses(firewall) == expected


@given(
    st.lists(st.tuples(SOURCE, ACCESS), max_size=5),
    st.one_of(st.none(), ACCESS),
    st.booleans(),
    st.booleans(),
)
def test_first_access_restriction_of_a_site_decides(
    drawn: list[tuple[str, str]], default: str | None, is_scm: bool, uses_main: bool
) -> None:
    listed = [
        build_restriction(source, 100 - number, access)
        for number, (source, access) in enumerate(drawn)
    ]
    member = "scmIpSecurityRestrictions" if is_scm and not uses_main else "ipSecurityRestrictions"
    written = {member: listed, f"{member}DefaultAction": default}
    config = build_web_config(scmIpSecurityRestrictionsUseMain=uses_main)
    config["properties"].update(written)

    firewall = (parse_scm_site if is_scm else parse_site)(build_site(), config)

    rules = [(access, [source]) for source, access in reversed(drawn)]
    assert list_allowed_addresses(firewall) == list_first_allowed(
        rules, default or ("Deny" if drawn else "Allow")
    )


@pytest.mark.parametrize("kind", LISTS)
@given(PREFIXES.filter(bool))
def test_address_list_allows_exactly_its_addresses(kind: str, prefixes: list[str]) -> None:
    world = World()
    resources = load_firewall_case(kind).resources(prefixes)
    world.resources = {path.lower(): one for path, one in resources.items()}

    [firewall] = asyncio.run(build_firewall_kinds(build_fakes(world).ports.resources)[kind].read())

    expected = [one for one in CALLERS if any(has_address(prefix, one) for prefix in prefixes)]
    assert list_allowed_addresses(firewall) == expected


FILTER = st.tuples(st.sampled_from(["allow", "forbid"]), PREFIXES.filter(bool))


@given(st.lists(FILTER, max_size=3), st.lists(FILTER, max_size=2), st.booleans())
def test_api_management_allows_addresses_that_all_filters_allow(
    common: list[tuple[str, list[str]]], own: list[tuple[str, list[str]]], has_base: bool
) -> None:
    """The filters of the service apply only if the API's policy contains `<base />`."""

    def build_policy(filters: list[tuple[str, list[str]]], *before: str) -> str:
        written = [
            api_management.build_ip_filter(
                *(f"{ip_network(one)[0]}-{ip_network(one)[-1]}" for one in prefixes), action=action
            )
            for action, prefixes in filters
        ]
        document: str = api_management.build_policy(*before, *written)["properties"]["value"]
        return document

    outer = parse_ip_filter_policy(build_policy(common), "service")
    inner = parse_ip_filter_policy(build_policy(own, *(["<base />"] if has_base else [])), "api")
    whole = build_open_service_firewall(api_management.build_service())
    firewall = build_firewall_from_filters(whole, [outer, inner] if inner.has_base else [inner])

    def is_allowed(caller: str, one: tuple[str, list[str]]) -> bool:
        action, prefixes = one
        return any(has_address(prefix, caller) for prefix in prefixes) == (action == "allow")

    applied = [*(common if has_base else []), *own]
    expected = [one for one in CALLERS if all(is_allowed(one, each) for each in applied)]
    assert list_allowed_addresses(firewall) == expected
