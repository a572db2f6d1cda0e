from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.network.address_ranges import EVERYWHERE, IPV4, IPV6, AddressRanges
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.host_matching import ClaimedHosts
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.verdict import Verdict, compute_verdict
from tests.unit.uncovered import build_tag_list, find_uncovered_prefixes

#: A neighbourhood small enough to ask about each address, in both versions.
V4 = st.builds(lambda host, bits: f"10.0.0.{host}/{bits}", st.integers(0, 31), st.integers(27, 32))
V6 = st.builds(
    lambda host, bits: f"fd00::{host:x}/{bits}", st.integers(0, 31), st.integers(123, 128)
)
PREFIXES = st.lists(st.one_of(V4, V6), max_size=6)
ADDRESSES = [f"10.0.0.{host}" for host in range(32)] + [f"fd00::{host:x}" for host in range(32)]
TAG, REGIONAL = "PowerPlatformPlex", "PowerPlatformPlex.WestEurope"
SOURCES = st.one_of(V4, V6, st.sampled_from([TAG.lower(), REGIONAL.upper(), "*", "VirtualNetwork"]))


def has_address(prefixes: list[str], address: str) -> bool:
    return any(ip_address(address) in ip_network(one, strict=False) for one in prefixes)


@given(PREFIXES, PREFIXES)
def test_set_operations_on_address_ranges_are_exact(left: list[str], right: list[str]) -> None:
    a, b = AddressRanges.parse(left), AddressRanges.parse(right)

    both, either, only = (list(part.list_prefixes()) for part in (a & b, a | b, a - b))

    assert (a <= b) == all(has_address(right, one) for one in ADDRESSES if has_address(left, one))
    for address in ADDRESSES:
        in_left, in_right = has_address(left, address), has_address(right, address)
        assert has_address(both, address) == (in_left and in_right)
        assert has_address(either, address) == (in_left or in_right)
        assert has_address(only, address) == (in_left and not in_right)


WALLS = st.builds(
    Firewall,
    kind=st.just("any"),
    id=st.uuids().map(str),
    name=st.just("wall"),
    hosts=st.frozensets(st.sampled_from(["a.example", "*.b.example", "c.b.example"]), max_size=2),
    rules=st.lists(
        st.builds(
            FirewallRule,
            name=st.just("rule"),
            action=st.sampled_from(RuleAction),
            sources=st.tuples(SOURCES),
            is_certain=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    default=st.sampled_from(RuleAction),
    is_ipv4_only=st.booleans(),
)


@given(
    st.lists(WALLS, max_size=6),
    st.lists(st.sampled_from(["a.example", "c.b.example", "d.example", None]), max_size=2),
)
def test_issues_of_a_firewall_do_not_depend_on_other_firewalls(
    walls: list[Firewall], hosts: list[str | None]
) -> None:
    """The app evaluates equal rules of several firewalls only once."""
    tags = build_tag_list({TAG: ["10.0.0.0/28"], REGIONAL: ["10.0.0.0/28", "fd00::/124"]})

    found = NetworkCheck(walls, "europe", tags).find_required_issues()

    alone = [
        gap for wall in walls for gap in NetworkCheck([wall], "europe", tags).find_required_issues()
    ]
    assert found == alone
    claimed = ClaimedHosts(walls)
    for host in filter(None, hosts):
        assert (host in claimed) == any(
            host == own or (own[0] == "*" and host.endswith(own[1:]))
            for wall in walls
            for own in wall.hosts
        )


@given(PREFIXES)
def test_address_ranges_from_their_prefixes_are_equal(prefixes: list[str]) -> None:
    ranges = AddressRanges.parse(prefixes)

    assert AddressRanges.parse(ranges.list_prefixes()) == ranges


#: Words that look like a prefix: some are one, in ways that are rarely written.
WORDS = st.one_of(
    st.from_regex(r"[0-9:.af]{1,20}(/[0-9.]{0,15})?", fullmatch=True),
    st.builds(lambda host, mask: f"10.1.2.{host}/{mask}", st.integers(0, 300), st.integers(0, 40)),
    st.sampled_from(
        ["10.0.0.0/255.255.255.0", "10.0.0.0/0.0.0.255", "fe80::1%eth0", "::/0", "0/0"]
    ),
    st.sampled_from(["10.0.0.0/", "010.0.0.1", "10.0.0.0/٣", "10.0.0.0/-1", "::ffff:1.2.3.4/120"]),
    st.text(max_size=8),
)


@given(WORDS)
def test_prefix_is_parsed_as_in_the_standard_library(word: str) -> None:
    """The app's own parser is faster than `ipaddress`."""
    assert parse_with_app(word) == parse_with_library(word)


def parse_with_app(word: str) -> tuple[str, ...] | None:
    try:
        return AddressRanges.parse([word]).list_prefixes()
    except ValueError:
        return None


def parse_with_library(word: str) -> tuple[str, ...] | None:
    try:
        network = ip_network(word.strip(), strict=False)
    except ValueError:
        return None
    return (f"{str(network.network_address).partition('%')[0]}/{network.prefixlen}",)


@st.composite
def draw_firewalls(draw: st.DrawFn) -> Firewall:
    rule = st.builds(
        FirewallRule,
        name=st.just("rule"),
        action=st.sampled_from(RuleAction),
        sources=st.lists(SOURCES, min_size=1, max_size=3).map(tuple),
    )
    return Firewall(
        kind="network_security_group",
        id="/nsg",
        name="nsg",
        hosts=frozenset(),
        rules=tuple(draw(st.lists(rule, max_size=6))),
        default=draw(st.sampled_from(RuleAction)),
    )


@given(draw_firewalls(), PREFIXES)
def test_first_matching_rule_decides_for_an_address(firewall: Firewall, tag: list[str]) -> None:
    tags = {TAG.lower(): tag, REGIONAL.lower(): tag}

    left = list(find_uncovered_prefixes(firewall, {REGIONAL: tag}, tags))

    for address in ADDRESSES:
        is_refused = (
            has_address(tag, address) and _decide(firewall, tag, address) is RuleAction.DENY
        )
        assert has_address(left, address) == is_refused


def _decide(firewall: Firewall, tag: list[str], address: str) -> RuleAction:
    meanings = {TAG.lower(): tag, REGIONAL.lower(): tag, "virtualnetwork": []}
    for rule in firewall.rules:
        for source in rule.sources:
            if source == "*" or has_address(meanings.get(source.lower(), [source]), address):
                return rule.action
    return firewall.default


@given(draw_firewalls(), PREFIXES, st.integers(0, 6))
def test_unreadable_rule_never_removes_an_issue(
    firewall: Firewall, tag: list[str], position: int
) -> None:
    tags = {TAG.lower(): tag, REGIONAL.lower(): tag}
    unread = FirewallRule(name="?", action=RuleAction.ALLOW, sources=("[parameters('allowed')]",))
    rules = (*firewall.rules[:position], unread, *firewall.rules[position:])
    doubted = Firewall(
        kind=firewall.kind,
        id=firewall.id,
        name=firewall.name,
        hosts=firewall.hosts,
        rules=rules,
        default=firewall.default,
    )

    without = AddressRanges.parse(find_uncovered_prefixes(firewall, {REGIONAL: tag}, tags))
    with_it = AddressRanges.parse(find_uncovered_prefixes(doubted, {REGIONAL: tag}, tags))

    assert not without - with_it


@given(draw_firewalls(), PREFIXES, st.sampled_from([IPV4, IPV6, EVERYWHERE]))
def test_verdict_agrees_with_a_check_of_each_address(
    firewall: Firewall, tag: list[str], version: AddressRanges
) -> None:
    tags = build_tag_list({TAG: tag, REGIONAL: tag})
    asked = AddressRanges.parse(tag) & version

    verdict = compute_verdict(evaluate_rules(firewall, RuleSources(tags, [TAG])), asked)

    answers = {
        _decide(firewall, tag, address)
        for address in ADDRESSES
        if has_address(list(asked.list_prefixes()), address)
    }
    assert (
        verdict
        is {
            frozenset[RuleAction](): Verdict.ALLOWED,  # nothing is asked for
            frozenset({RuleAction.ALLOW}): Verdict.ALLOWED,
            frozenset({RuleAction.DENY}): Verdict.DENIED,
            frozenset(RuleAction): Verdict.PARTLY_ALLOWED,
        }[frozenset(answers)]
    )
