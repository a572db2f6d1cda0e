"""Evaluate a firewall's rules for all addresses. The first rule that matches decides.

A rule names service tags, prefixes, or sources that the app cannot evaluate, so an address is
allowed, denied, or unknown. The rules are evaluated once, for every address. The result for a tag
in a region is then a comparison of two sets.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.address_ranges import (
    EVERYWHERE,
    IPV4,
    NOWHERE,
    AddressRanges,
    unite_ranges,
)
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.service_tags import ServiceTagList

#: Sources that mean the whole public internet. In Azure, a rule for `0.0.0.0/0` is one
#: (platform.md#any-source).
_ANYWHERE = frozenset({"*", "any", "internet", "0.0.0.0/0"})
#: Tags for the inside of a network, from which no flow sends.
_INTERNAL_TAGS = frozenset({"virtualnetwork", "azureloadbalancer"})
#: The tag with every public address of Azure.
_AZURE = "azurecloud"
#: The name of the action that applies when no rule matches.
DEFAULT_RULE = "the default"

#: Rules by name, each with the addresses that it affects.
type RuleEffects = tuple[tuple[str, AddressRanges], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallDecision:
    """What a firewall does with every address. Each address is in one of the three sets."""

    allowed: AddressRanges
    denied: AddressRanges
    #: Depends on a source that cannot be evaluated, or on a rule that matches only part of the
    #: traffic.
    doubtful: AddressRanges
    #: Rules that deny addresses, including `DEFAULT_RULE`.
    denied_by: RuleEffects
    #: Rules that are not certain.
    doubted_for: RuleEffects
    #: Nothing reaches it by IPv6, so that no IPv6 address can be missing.
    is_ipv4_only: bool = False

    def find_reaching_addresses(self, asked: AddressRanges) -> AddressRanges:
        """Return which of these addresses can reach the host.

        Without IPv6, only IPv4 addresses can.
        """
        return asked & IPV4 if self.is_ipv4_only else asked

    def has_no_reaching_address(self, asked: AddressRanges) -> bool:
        """Return whether none of these addresses can reach the host, so that the real ones are
        unknown.
        """
        return bool(asked) and not self.find_reaching_addresses(asked)


def list_rules_affecting(rules: RuleEffects, asked: AddressRanges) -> tuple[str, ...]:
    """Return the names of the rules that affect any of these addresses."""
    return tuple(name for name, addresses in rules if addresses & asked)


class RuleSources:
    """Resolves the sources that rules name to addresses, with one service tag list."""

    def __init__(self, tags: ServiceTagList, bases: Sequence[str]) -> None:
        """`bases` are the tags to check, without regions."""
        self._tags = tags
        self._names = defaultdict[str, list[str]](list)
        for base in bases:
            for tag in (base, *(f"{base}.{region}" for region in tags.list_regions(base))):
                for name in list_tag_names_covering(tag):
                    self._names[name].append(tag)
        self._named: dict[str, AddressRanges | None] = {}

    def resolve(self, sources: Iterable[str]) -> tuple[AddressRanges, bool]:
        """Return the addresses of these sources, and whether all of them could be resolved.

        A source that names a checked tag, its global tag, or all of Azure counts as all of the tag,
        even if the list has fewer addresses for it.
        """
        prefixes: list[str] = []
        parts: list[AddressRanges | None] = []
        for source in sources:
            name = source.strip().lower()
            if name not in _ANYWHERE and (name[:1].isdigit() or ":" in name):
                prefixes.append(name)
            else:
                parts.append(self._resolve_source(name))
        try:
            parts.append(AddressRanges.parse(prefixes))
        except ValueError:
            parts += map(_parse_prefix, prefixes)
        return unite_ranges(part for part in parts if part is not None), None not in parts

    def _resolve_source(self, name: str) -> AddressRanges | None:
        if name in _ANYWHERE:
            return EVERYWHERE
        if name in _INTERNAL_TAGS:
            return NOWHERE
        if name not in self._named:
            tags = {name, *self._names.get(name, ())}
            found = [
                ranges for tag in tags if (ranges := self._tags.find_addresses(tag)) is not None
            ]
            # All of Azure in a region without addresses of the checked tags: none of their
            # addresses.
            is_told = found or name.startswith(f"{_AZURE}.")
            self._named[name] = unite_ranges(found) if is_told else None
        return self._named[name]


def evaluate_rules(firewall: Firewall, sources: RuleSources) -> FirewallDecision:
    """Return what a firewall and the firewalls behind it decide.

    All of them must allow an address.
    """
    found = _evaluate_own_rules(firewall, sources)
    if firewall.behind is not None:
        found = _combine_decisions(found, evaluate_rules(firewall.behind, sources))
    return replace(found, is_ipv4_only=firewall.is_ipv4_only)


def _combine_decisions(own: FirewallDecision, beyond: FirewallDecision) -> FirewallDecision:
    denied = own.denied | beyond.denied
    return FirewallDecision(
        allowed=own.allowed & beyond.allowed,
        denied=denied,
        doubtful=(own.doubtful | beyond.doubtful) - denied,
        denied_by=own.denied_by + beyond.denied_by,
        doubted_for=own.doubted_for + beyond.doubted_for,
    )


def _evaluate_own_rules(firewall: Firewall, sources: RuleSources) -> FirewallDecision:
    undecided = EVERYWHERE
    allowed = denied = doubtful = maybe_allowed = maybe_denied = NOWHERE
    denied_by: list[tuple[str, AddressRanges]] = []
    doubted_for: list[tuple[str, AddressRanges]] = []
    default = FirewallRule(name=DEFAULT_RULE, action=firewall.default, sources=("*",))
    for rule in (*firewall.rules, default):
        for matched, is_certain in _list_matched_addresses(rule, sources):
            matched &= undecided
            if not matched:
                continue
            if not is_certain:
                doubted_for.append((rule.name, matched))
                if rule.action is RuleAction.ALLOW:
                    maybe_allowed |= matched
                else:
                    maybe_denied |= matched
                continue
            undecided -= matched
            if rule.action is RuleAction.ALLOW:
                doubtful |= matched & maybe_denied
                allowed |= matched - maybe_denied
            else:
                doubtful |= matched & maybe_allowed
                denied |= matched - maybe_allowed
                denied_by.append((rule.name, matched))
    return FirewallDecision(
        allowed=allowed,
        denied=denied,
        doubtful=doubtful,
        denied_by=tuple(denied_by),
        doubted_for=tuple(doubted_for),
    )


def list_tag_names_covering(tag: str) -> tuple[str, ...]:
    """Return the names by which a rule can cover a whole tag, such as its global tag."""
    whole = tag.lower()
    base, _, region = whole.partition(".")
    return (whole, base, _AZURE, f"{_AZURE}.{region}") if region else (whole, _AZURE)


def _list_matched_addresses(
    rule: FirewallRule, sources: RuleSources
) -> Iterator[tuple[AddressRanges, bool]]:
    """Yield the addresses that a rule matches, and whether it matches all of their traffic.

    A source that cannot be resolved may be any address. Every address then matches, but not for
    certain.
    """
    addresses, is_whole = sources.resolve(rule.sources)
    yield addresses, rule.is_certain
    if not is_whole:
        yield EVERYWHERE, False


def _parse_prefix(text: str) -> AddressRanges | None:
    try:
        return AddressRanges.parse([text])
    except ValueError:
        return None
