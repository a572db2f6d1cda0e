"""How Azure Firewall decides about inbound HTTPS (Microsoft: *Azure Firewall rule processing*).

DNAT rules come first, whatever the priorities: what one of them matches is translated and let in,
what none matches does not get in by a public address. Application rules do not concern inbound
connections. Whether a network rule can still refuse what was translated, two editions of the page
answer differently (docs/verify-on-a-real-tenant.md): such a rule is a doubt.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.matching import HTTPS, all_of, any_of, covers, holds_port, leads_anywhere

#: No flow sends from there.
_PRIVATE = AddressRanges.of(
    ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
)
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficDestination:
    """Where packets go."""

    #: Prefixes, or texts that nobody here can read.
    addresses: tuple[str, ...]
    #: None: not known.
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRule:
    """A DNAT rule or a network rule."""

    name: str
    #: A DNAT rule allows.
    access: RuleAction
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[str, ...]
    protocols: tuple[str, ...]
    #: Where a DNAT rule leads to.
    translated: TrafficDestination | None = None
    #: Id of the rule collection group, else of the firewall, and the collection in it.
    place: str = ""
    collection: str = ""
    #: Lower-case ids of IP groups among its sources.
    ip_groups: tuple[str, ...] = ()

    def matches(self, target: TrafficDestination) -> bool | None:
        """Say whether it is about all TCP packets to a target; None: some, or nobody can tell."""
        return all_of(
            (
                any_of(_is_tcp(protocol) for protocol in self.protocols),
                holds_port(self.ports, target.port),
                covers(self.destinations, target.addresses),
            )
        )


def split_by_target(
    whole: Firewall,
    nat: Sequence[TrafficRule],
    network: Sequence[TrafficRule],
    hosts: Mapping[str, frozenset[str]],
) -> list[tuple[Firewall, tuple[TrafficRule, ...]]]:
    """Return a firewall for each place that callers can reach through this one, with its rules.

    Rules come in the order in which they decide. `whole` has none but those that concern every
    place; `hosts` are the names of public addresses. A place that only a network rule names is one
    behind something else that keeps the callers' addresses.
    """
    published = {one: None for rule in nat if _may_be_https(rule) for one in rule.destinations}
    found = [_published(whole, address, nat, network, hosts) for address in published]
    named = {
        rule.destinations: None
        for rule in network
        if rule.access is RuleAction.ALLOW
        and _may_be_https(rule)
        and not leads_anywhere(rule.destinations)
        and not _is_private(rule.sources)
    }
    found += [
        _filtered(_part(whole, destinations), destinations, network) for destinations in named
    ]
    everywhere = _filtered(
        whole, ("*",), [rule for rule in network if leads_anywhere(rule.destinations)]
    )
    if not found or any(not _is_private(rule.sources) for rule in everywhere[0].rules):
        found.insert(0, everywhere)
    return found


def _published(
    whole: Firewall,
    address: str,
    nat: Sequence[TrafficRule],
    network: Sequence[TrafficRule],
    hosts: Mapping[str, frozenset[str]],
) -> tuple[Firewall, tuple[TrafficRule, ...]]:
    """Return what stands before a public address."""
    leading = [*_rules([TrafficDestination(addresses=(address,), port=HTTPS)], nat)]
    translated = [rule.translated for rule, _ in leading if rule.translated]
    refusing = [rule for rule, _ in _rules(translated, network) if rule.access is RuleAction.DENY]
    found = replace(
        _part(whole, (address,)),
        hosts=whole.hosts | hosts.get(address, frozenset()),
        rules=(
            *whole.rules,
            *(_rule(rule, None) for rule in refusing),
            *(_rule(rule, answer) for rule, answer in leading),
        ),
    )
    return found, (*refusing, *(rule for rule, _ in leading))


def _filtered(
    firewall: Firewall, destinations: tuple[str, ...], network: Sequence[TrafficRule]
) -> tuple[Firewall, tuple[TrafficRule, ...]]:
    """Return a firewall with the network rules about some destinations."""
    found = [*_rules([TrafficDestination(addresses=destinations, port=HTTPS)], network)]
    rules = (*firewall.rules, *(_rule(rule, answer) for rule, answer in found))
    return replace(firewall, rules=rules), tuple(rule for rule, _ in found)


def _part(whole: Firewall, destinations: Sequence[str]) -> Firewall:
    shown = ", ".join(destinations[:_SHOWN])
    if len(destinations) > _SHOWN:
        shown += f" and {len(destinations) - _SHOWN} more"
    return replace(whole, id=f"{whole.id}#{shown}", name=f"{whole.name} → {shown}")


def _rules(
    targets: Sequence[TrafficDestination], rules: Iterable[TrafficRule]
) -> Iterator[tuple[TrafficRule, bool | None]]:
    """Yield the rules about any of some targets, and whether they are about all of them."""
    for rule in rules:
        answers = [rule.matches(target) for target in targets]
        if any(answer is not False for answer in answers):
            yield rule, all_of(answers)


def _rule(rule: TrafficRule, answer: bool | None) -> FirewallRule:
    return FirewallRule(
        name=rule.name, action=rule.access, sources=rule.sources, is_certain=answer is True
    )


def _may_be_https(rule: TrafficRule) -> bool:
    return rule.matches(TrafficDestination(addresses=rule.destinations, port=HTTPS)) is not False


def _is_tcp(protocol: str) -> bool | None:
    if protocol.lower() in {"tcp", "any"}:
        return True
    return None if protocol.startswith("<") else False


def _is_private(sources: Iterable[str]) -> bool:
    try:
        return not AddressRanges.of(sources) - _PRIVATE
    except ValueError:
        return False
