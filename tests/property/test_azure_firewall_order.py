from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.azure_firewall import split_firewall_by_target
from shared.domain.network.azure_firewall_rules import RuleReader
from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.service_tags import ServiceTagList
from tests.kinds.firewalls.azure_firewall import (
    build_collection,
    build_group,
    build_nat_rule,
    build_network_rule,
)

type Json = dict[str, Any]

#: Callers that are asked about, one by one.
CALLERS = "8.0.0.0/28"
PUBLIC = ["203.0.113.10", "203.0.113.11"]
INSIDE = ["10.0.1.4", "10.0.2.4"]

HOSTS = st.integers(0, 15)
SOURCES = st.lists(
    st.one_of(
        st.just("*"),
        st.builds(
            lambda host, bits: f"8.0.0.{host}/{bits}", st.integers(0, 15), st.integers(28, 32)
        ),
        st.builds(lambda a, b: f"8.0.0.{min(a, b)}-8.0.0.{max(a, b)}", *[st.integers(0, 15)] * 2),
    ),
    min_size=1,
    max_size=2,
)
PORTS = st.sampled_from([["443"], ["80"], ["*"], ["400-450", "80"]])
PROTOCOLS = st.sampled_from([["TCP"], ["UDP"], ["UDP", "Any"]])


@st.composite
def draw_nat_rules(draw: st.DrawFn) -> Json:
    return build_nat_rule(
        "nat",
        *draw(SOURCES),
        destinationAddresses=draw(st.lists(st.sampled_from(PUBLIC), min_size=1, max_size=2)),
        destinationPorts=draw(PORTS),
        ipProtocols=draw(PROTOCOLS),
        translatedAddress=draw(st.sampled_from(INSIDE)),
        translatedPort="443",
    )


@st.composite
def draw_network_rules(draw: st.DrawFn) -> Json:
    return build_network_rule(
        "network",
        *draw(SOURCES),
        destinationAddresses=[draw(st.sampled_from([*INSIDE, "*"]))],
        destinationPorts=draw(PORTS),
        ipProtocols=draw(PROTOCOLS),
    )


@st.composite
def draw_groups(draw: st.DrawFn) -> list[Json]:
    def draw_collections() -> Iterator[Json]:
        for priority in draw(st.permutations(range(1, draw(st.integers(1, 4))))):
            action = draw(st.sampled_from(["Dnat", "Allow", "Deny"]))
            rules = draw_nat_rules() if action == "Dnat" else draw_network_rules()
            yield build_collection("c", priority, *draw(st.lists(rules, max_size=2)), action=action)

    return [
        build_group("p", f"g{priority}", priority, *draw_collections())
        for priority in draw(st.permutations(range(1, draw(st.integers(1, 4)))))
    ]


def iterate_rules(policies: list[list[Json]], kind: str) -> Iterator[tuple[str, Json]]:
    """Yield each rule of a type with its action, in the order that Microsoft documents."""
    for policy in policies:
        for one in sorted(policy, key=lambda one: int(one["properties"]["priority"])):
            found = one["properties"]["ruleCollections"]
            for each in sorted(found, key=lambda each: int(each["priority"])):
                for rule in each["rules"]:
                    if rule["ruleType"] == kind:
                        yield each["action"]["type"], rule


def is_packet_matched(rule: Json, caller: str, destination: str) -> bool:
    ports = any(
        port == "*" or int(port.split("-")[0]) <= 443 <= int(port.split("-")[-1])
        for port in rule["destinationPorts"]
    )
    to = "*" in rule["destinationAddresses"] or destination in rule["destinationAddresses"]
    tcp = bool({"TCP", "Any"} & {*rule["ipProtocols"]})
    return ports and to and tcp and any(has_address(one, caller) for one in rule["sourceAddresses"])


def has_address(source: str, caller: str) -> bool:
    first, _, last = source.partition("-")
    if last:
        return ip_address(first) <= ip_address(caller) <= ip_address(last)  # type: ignore[operator]
    return source == "*" or ip_address(caller) in ip_network(source, strict=False)


def compute_outcome(policies: list[list[Json]], caller: str, target: str) -> str:
    """Return `Allow`, `Deny` or `Doubt`, according to the documentation."""
    network = [*iterate_rules(policies, "NetworkRule")]
    if target not in PUBLIC:
        decided = (action for action, rule in network if is_packet_matched(rule, caller, target))
        return next(decided, "Deny")
    nat = [rule for _, rule in iterate_rules(policies, "NatRule")]
    if not any(is_packet_matched(rule, caller, target) for rule in nat):
        return "Deny"
    anybody = [rule | {"sourceAddresses": ["*"]} for rule in nat]
    machines = [
        one["translatedAddress"] for one in anybody if is_packet_matched(one, caller, target)
    ]
    denied = any(
        action == "Deny" and is_packet_matched(rule, caller, machine)
        for action, rule in network
        for machine in machines
    )
    return "Doubt" if denied else "Allow"


def get_verdict(firewall: Firewall, caller: str) -> str:
    one = AddressRanges.parse([caller])
    admission = evaluate_rules(firewall, RuleSources(ServiceTagList([]), []))
    answers = {"Allow": admission.allowed, "Deny": admission.denied, "Doubt": admission.doubtful}
    [answer] = [name for name, ranges in answers.items() if one <= ranges]
    return answer


@given(draw_groups(), draw_groups())
def test_verdict_follows_the_documented_order_of_rules(base: list[Json], child: list[Json]) -> None:
    reader = RuleReader(ip_groups={})
    reader.collect_rule_groups(base)
    reader.collect_rule_groups(child)
    whole = Firewall(
        kind="azure_firewall",
        id="/fw",
        name="fw",
        hosts=frozenset(),
        rules=(),
        default=RuleAction.DENY,
    )
    found = [one for one, _ in split_firewall_by_target(whole, reader.nat, reader.network, {})]

    for firewall in found:
        target = firewall.id.rpartition("#")[2]
        if target not in (*PUBLIC, *INSIDE):
            continue  # the firewall as a whole
        for caller in map(str, ip_network(CALLERS)):
            said = get_verdict(firewall, caller)
            assert said == compute_outcome([base, child], caller, target), (target, caller)

    published = {
        address
        for _, rule in iterate_rules([base, child], "NatRule")
        for address in rule["destinationAddresses"]
        if is_packet_matched(rule | {"sourceAddresses": ["*"]}, "8.0.0.0", address)
    }
    assert {one.id.rpartition("#")[2] for one in found} >= published
