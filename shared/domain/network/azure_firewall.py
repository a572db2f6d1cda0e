"""Evaluate Azure Firewall's rules for inbound HTTPS (Microsoft: *Azure Firewall rule processing*).

DNAT rules come first, whatever the priorities: a connection that one of them matches is translated
and allowed. At a public address, any other connection is denied. Application rules do not apply to
inbound connections. Two versions of Microsoft's page differ on whether a network rule can still
deny a translated connection (docs/verify-on-a-real-tenant.md), so such a rule counts as uncertain.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.matching import (
    HTTPS,
    all_match,
    any_matches,
    includes_destinations,
    includes_every_destination,
    includes_port,
)

#: Private ranges, from which no flow sends.
_PRIVATE = AddressRanges.parse(
    ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
)
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficDestination:
    """Addresses and a port to which packets are sent."""

    #: Prefixes, or texts that the app cannot evaluate.
    addresses: tuple[str, ...]
    #: None: unknown.
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRule:
    """A DNAT rule or a network rule of Azure Firewall."""

    name: str
    #: Always `ALLOW` for a DNAT rule.
    access: RuleAction
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[str, ...]
    protocols: tuple[str, ...]
    #: The translated destination of a DNAT rule.
    translated: TrafficDestination | None = None
    #: Id of the rule collection group, or of a classic firewall, and the name of the collection.
    place: str = ""
    collection: str = ""
    #: Lower-case ids of the IP groups among its sources.
    ip_groups: tuple[str, ...] = ()

    def matches(self, target: TrafficDestination) -> bool | None:
        """Return whether the rule matches all TCP packets to a destination.

        Returns None if it matches only some of them, or if it is unknown.
        """
        return all_match(
            (
                any_matches(_is_tcp(protocol) for protocol in self.protocols),
                includes_port(self.ports, target.port),
                includes_destinations(self.destinations, target.addresses),
            )
        )


def split_firewall_by_target(
    whole: Firewall,
    nat: Sequence[TrafficRule],
    network: Sequence[TrafficRule],
    hosts: Mapping[str, frozenset[str]],
) -> list[tuple[Firewall, tuple[TrafficRule, ...]]]:
    """Split a firewall into one for each destination that requests can reach through it.

    Each firewall is returned with its rules in the order in which they apply. `whole` has only the
    rules that apply to every destination. `hosts` contains the host names of each public address. A
    destination that only a network rule names is behind another device that keeps the senders'
    addresses.
    """
    published = {one: None for rule in nat if _may_match_https(rule) for one in rule.destinations}
    found = [
        _build_public_address_firewall(whole, address, nat, network, hosts) for address in published
    ]
    named = {
        rule.destinations: None
        for rule in network
        if rule.access is RuleAction.ALLOW
        and _may_match_https(rule)
        and not includes_every_destination(rule.destinations)
        and not _is_only_private_addresses(rule.sources)
    }
    found += [
        _build_network_rule_firewall(
            _build_firewall_part(whole, destinations), destinations, network
        )
        for destinations in named
    ]
    everywhere = _build_network_rule_firewall(
        whole, ("*",), [rule for rule in network if includes_every_destination(rule.destinations)]
    )
    if not found or any(
        not _is_only_private_addresses(rule.sources) for rule in everywhere[0].rules
    ):
        found.insert(0, everywhere)
    return found


def _build_public_address_firewall(
    whole: Firewall,
    address: str,
    nat: Sequence[TrafficRule],
    network: Sequence[TrafficRule],
    hosts: Mapping[str, frozenset[str]],
) -> tuple[Firewall, tuple[TrafficRule, ...]]:
    leading = [*_find_matching_rules([TrafficDestination(addresses=(address,), port=HTTPS)], nat)]
    translated = [rule.translated for rule, _ in leading if rule.translated]
    refusing = [
        rule
        for rule, _ in _find_matching_rules(translated, network)
        if rule.access is RuleAction.DENY
    ]
    found = replace(
        _build_firewall_part(whole, (address,)),
        hosts=whole.hosts | hosts.get(address, frozenset()),
        rules=(
            *whole.rules,
            *(_build_firewall_rule(rule, None) for rule in refusing),
            *(_build_firewall_rule(rule, answer) for rule, answer in leading),
        ),
    )
    return found, (*refusing, *(rule for rule, _ in leading))


def _build_network_rule_firewall(
    firewall: Firewall, destinations: tuple[str, ...], network: Sequence[TrafficRule]
) -> tuple[Firewall, tuple[TrafficRule, ...]]:
    found = [
        *_find_matching_rules([TrafficDestination(addresses=destinations, port=HTTPS)], network)
    ]
    rules = (*firewall.rules, *(_build_firewall_rule(rule, answer) for rule, answer in found))
    return replace(firewall, rules=rules), tuple(rule for rule, _ in found)


def _build_firewall_part(whole: Firewall, destinations: Sequence[str]) -> Firewall:
    shown = ", ".join(destinations[:_SHOWN])
    if len(destinations) > _SHOWN:
        shown += f" and {len(destinations) - _SHOWN} more"
    return replace(whole, id=f"{whole.id}#{shown}", name=f"{whole.name} → {shown}")


def _find_matching_rules(
    targets: Sequence[TrafficDestination], rules: Iterable[TrafficRule]
) -> Iterator[tuple[TrafficRule, bool | None]]:
    for rule in rules:
        answers = [rule.matches(target) for target in targets]
        if any(answer is not False for answer in answers):
            yield rule, all_match(answers)


def _build_firewall_rule(rule: TrafficRule, answer: bool | None) -> FirewallRule:
    return FirewallRule(
        name=rule.name, action=rule.access, sources=rule.sources, is_certain=answer is True
    )


def _may_match_https(rule: TrafficRule) -> bool:
    return rule.matches(TrafficDestination(addresses=rule.destinations, port=HTTPS)) is not False


def _is_tcp(protocol: str) -> bool | None:
    if protocol.lower() in {"tcp", "any"}:
        return True
    return None if protocol.startswith("<") else False


def _is_only_private_addresses(sources: Iterable[str]) -> bool:
    try:
        return not AddressRanges.parse(sources) - _PRIVATE
    except ValueError:
        return False
