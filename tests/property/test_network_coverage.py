"""Address arithmetic and rule order agree with asking for every single address."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Access, Firewall, FirewallRule
from tests.unit.uncovered import uncovered

#: A neighbourhood small enough to ask about each address, in both versions.
V4 = st.builds(lambda host, bits: f"10.0.0.{host}/{bits}", st.integers(0, 31), st.integers(27, 32))
V6 = st.builds(
    lambda host, bits: f"fd00::{host:x}/{bits}", st.integers(0, 31), st.integers(123, 128)
)
PREFIXES = st.lists(st.one_of(V4, V6), max_size=6)
ADDRESSES = [f"10.0.0.{host}" for host in range(32)] + [f"fd00::{host:x}" for host in range(32)]
TAG, REGIONAL = "PowerPlatformPlex", "PowerPlatformPlex.WestEurope"
SOURCES = st.one_of(V4, V6, st.sampled_from([TAG.lower(), REGIONAL.upper(), "*", "VirtualNetwork"]))


def holds(prefixes: list[str], address: str) -> bool:
    """Say whether an address is in any of the prefixes."""
    return any(ip_address(address) in ip_network(one, strict=False) for one in prefixes)


@given(PREFIXES, PREFIXES)
def test_sets_of_addresses_add_and_subtract(left: list[str], right: list[str]) -> None:
    """Union, difference and intersection hold exactly the addresses they should."""
    a, b = AddressRanges.of(left), AddressRanges.of(right)

    both, either, only = (list(part.prefixes()) for part in (a & b, a | b, a - b))

    for address in ADDRESSES:
        in_left, in_right = holds(left, address), holds(right, address)
        assert holds(both, address) == (in_left and in_right)
        assert holds(either, address) == (in_left or in_right)
        assert holds(only, address) == (in_left and not in_right)


@given(PREFIXES)
def test_prefixes_of_a_set_give_the_same_set(prefixes: list[str]) -> None:
    """Writing a set as prefixes and reading it again changes nothing."""
    ranges = AddressRanges.of(prefixes)

    assert AddressRanges.of(ranges.prefixes()) == ranges


@st.composite
def firewalls(draw: st.DrawFn) -> Firewall:
    """A firewall with a few rules that overlap as they like."""
    rule = st.builds(
        FirewallRule,
        name=st.just("rule"),
        access=st.sampled_from(Access),
        sources=st.lists(SOURCES, min_size=1, max_size=3).map(tuple),
    )
    return Firewall(
        kind="network_security_group",
        id="/nsg",
        name="nsg",
        hosts=frozenset(),
        rules=tuple(draw(st.lists(rule, max_size=6))),
        default=draw(st.sampled_from(Access)),
    )


@given(firewalls(), PREFIXES)
def test_the_first_rule_that_matches_an_address_decides_it(
    firewall: Firewall, tag: list[str]
) -> None:
    """What is not covered is what the first matching rule of each address denies."""
    tags = {TAG.lower(): tag, REGIONAL.lower(): tag}

    left = list(uncovered(firewall, {REGIONAL: tag}, tags))

    for address in ADDRESSES:
        is_refused = holds(tag, address) and _decide(firewall, tag, address) is Access.DENY
        assert holds(left, address) == is_refused


def _decide(firewall: Firewall, tag: list[str], address: str) -> Access:
    meanings = {TAG.lower(): tag, REGIONAL.lower(): tag, "virtualnetwork": []}
    for rule in firewall.rules:
        for source in rule.sources:
            if source == "*" or holds(meanings.get(source.lower(), [source]), address):
                return rule.access
    return firewall.default


@given(firewalls(), PREFIXES, st.integers(0, 6))
def test_an_uncertain_rule_never_makes_anything_covered(
    firewall: Firewall, tag: list[str], position: int
) -> None:
    """A rule that cannot be read may open a doubt; it cannot remove a gap."""
    tags = {TAG.lower(): tag, REGIONAL.lower(): tag}
    unread = FirewallRule(name="?", access=Access.ALLOW, sources=("[parameters('allowed')]",))
    rules = (*firewall.rules[:position], unread, *firewall.rules[position:])
    doubted = Firewall(
        kind=firewall.kind,
        id=firewall.id,
        name=firewall.name,
        hosts=firewall.hosts,
        rules=rules,
        default=firewall.default,
    )

    without = AddressRanges.of(uncovered(firewall, {REGIONAL: tag}, tags))
    with_it = AddressRanges.of(uncovered(doubted, {REGIONAL: tag}, tags))

    assert not without - with_it
