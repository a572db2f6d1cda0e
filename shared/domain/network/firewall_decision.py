"""What a firewall does with addresses: ordered rules, the first match decides.

Rules name service tags, prefixes, or things that nobody here can read. So there are three answers:
let in, kept out, and cannot be told. A firewall is walked once, for every address there is; what it
does with a tag in a region is then a comparison of two sets.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.address_ranges import (
    EVERYWHERE,
    IPV4,
    NOWHERE,
    AddressRanges,
    union,
)
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.service_tags import ServiceTagList

#: Sources that are the whole public Internet. An Azure rule for `0.0.0.0/0` is one
#: (platform.md#any-source).
_ANYWHERE = frozenset({"*", "any", "internet", "0.0.0.0/0"})
#: Tags of a network's inside: no flow sends from there.
_INSIDE = frozenset({"virtualnetwork", "azureloadbalancer"})
#: The tag that holds every public address of Azure.
_AZURE = "azurecloud"
#: What decides when no rule does.
DEFAULT_RULE = "the default"

#: Rules by name, each with the addresses that it has a say in.
type Says = tuple[tuple[str, AddressRanges], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallDecision:
    """What a firewall does with all addresses there are; each is in one of the three sets."""

    allowed: AddressRanges
    denied: AddressRanges
    #: Depends on a source that cannot be read, or on a rule that matches part of the traffic.
    doubtful: AddressRanges
    #: Rules that deny addresses; `DEFAULT_RULE` among them.
    denied_by: Says
    #: Rules that are not certain.
    doubted_for: Says
    #: Nobody sends to it by IPv6, so that nothing of that can be missing.
    is_ipv4_only: bool = False

    def counting(self, asked: AddressRanges) -> AddressRanges:
        """Return those of some addresses that can meet it."""
        return asked & IPV4 if self.is_ipv4_only else asked

    def is_without_addresses(self, asked: AddressRanges) -> bool:
        """Say whether some addresses hold none that can meet it, so that nobody knows which do."""
        return bool(asked) and not self.counting(asked)


def rules_affecting(rules: Says, asked: AddressRanges) -> tuple[str, ...]:
    """Return the names of the rules that have a say in any of these addresses."""
    return tuple(name for name, addresses in rules if addresses & asked)


class RuleSources:
    """What the sources of rules mean, by an edition of the list of service tags."""

    def __init__(self, tags: ServiceTagList, bases: Sequence[str]) -> None:
        """`bases` are the tags that are asked about, as a whole and region by region."""
        self._tags = tags
        self._called = defaultdict[str, list[str]](list)
        for base in bases:
            for tag in (base, *(f"{base}.{region}" for region in tags.regions(base))):
                for name in tag_names_covering(tag):
                    self._called[name].append(tag)
        self._named: dict[str, AddressRanges | None] = {}

    def read(self, sources: Iterable[str]) -> tuple[AddressRanges, bool]:
        """Return the addresses that sources stand for, and whether each of them can be read.

        A source that names a tag that is asked about, its global tag, or Azure as a whole stands
        for all of the tag, even where the list gives it fewer addresses.
        """
        prefixes: list[str] = []
        parts: list[AddressRanges | None] = []
        for source in sources:
            name = source.strip().lower()
            if name not in _ANYWHERE and (name[:1].isdigit() or ":" in name):
                prefixes.append(name)
            else:
                parts.append(self._meaning(name))
        try:
            parts.append(AddressRanges.of(prefixes))
        except ValueError:
            parts += map(_prefix, prefixes)
        return union(part for part in parts if part is not None), None not in parts

    def _meaning(self, name: str) -> AddressRanges | None:
        if name in _ANYWHERE:
            return EVERYWHERE
        if name in _INSIDE:
            return NOWHERE
        if name not in self._named:
            tags = {name, *self._called.get(name, ())}
            found = [ranges for tag in tags if (ranges := self._tags.addresses(tag)) is not None]
            # Azure as a whole in a region where no tag has addresses: nothing of theirs.
            is_told = found or name.startswith(f"{_AZURE}.")
            self._named[name] = union(found) if is_told else None
        return self._named[name]


def evaluate_rules(firewall: Firewall, sources: RuleSources) -> FirewallDecision:
    """Walk the rules of a firewall; what they let in has to pass those beyond it too."""
    found = _walk(firewall, sources)
    if firewall.behind is not None:
        found = _both(found, evaluate_rules(firewall.behind, sources))
    return replace(found, is_ipv4_only=firewall.is_ipv4_only)


def _both(own: FirewallDecision, beyond: FirewallDecision) -> FirewallDecision:
    denied = own.denied | beyond.denied
    return FirewallDecision(
        allowed=own.allowed & beyond.allowed,
        denied=denied,
        doubtful=(own.doubtful | beyond.doubtful) - denied,
        denied_by=own.denied_by + beyond.denied_by,
        doubted_for=own.doubted_for + beyond.doubted_for,
    )


def _walk(firewall: Firewall, sources: RuleSources) -> FirewallDecision:
    undecided = EVERYWHERE
    allowed = denied = doubtful = maybe_allowed = maybe_denied = NOWHERE
    denied_by: list[tuple[str, AddressRanges]] = []
    doubted_for: list[tuple[str, AddressRanges]] = []
    default = FirewallRule(name=DEFAULT_RULE, action=firewall.default, sources=("*",))
    for rule in (*firewall.rules, default):
        for matched, is_certain in _matches(rule, sources):
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


def tag_names_covering(tag: str) -> tuple[str, ...]:
    """Return what a rule that holds all of a tag may call it: itself, its global tag, all Azure."""
    whole = tag.lower()
    base, _, region = whole.partition(".")
    return (whole, base, _AZURE, f"{_AZURE}.{region}") if region else (whole, _AZURE)


def _matches(rule: FirewallRule, sources: RuleSources) -> Iterator[tuple[AddressRanges, bool]]:
    """Yield addresses that a rule matches, and whether it matches all of their traffic.

    A source that cannot be read may be any address: it matches everything, uncertainly.
    """
    addresses, is_whole = sources.read(rule.sources)
    yield addresses, rule.is_certain
    if not is_whole:
        yield EVERYWHERE, False


def _prefix(text: str) -> AddressRanges | None:
    try:
        return AddressRanges.of([text])
    except ValueError:
        return None
