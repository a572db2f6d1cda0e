"""What a firewall does with addresses: ordered rules, the first match decides.

Rules name service tags, prefixes, or things that nobody here can read. So there are three answers:
let in, kept out, and cannot be told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.network.address_ranges import EVERYWHERE, IPV4, NOWHERE, AddressRanges, union
from shared.domain.network.firewall import Access, Firewall, FirewallRule

#: Sources that are the whole public Internet. An Azure rule for `0.0.0.0/0` is one (contract §9.3).
_ANYWHERE = frozenset({"*", "any", "internet", "0.0.0.0/0"})
#: Tags of a network's inside: no flow sends from there.
_INSIDE = frozenset({"virtualnetwork", "azureloadbalancer"})
#: The tag that holds every public address of Azure.
_AZURE = "azurecloud"
#: What decides when no rule does.
DEFAULT_RULE = "the default"


class ServiceTagRanges:
    """The addresses of service tags, parsed when first asked for. Case does not matter."""

    def __init__(self, prefixes: Mapping[str, Sequence[str]]) -> None:
        """`prefixes` are the address prefixes of each tag."""
        self._prefixes = {name.lower(): listed for name, listed in prefixes.items()}
        self._parsed: dict[str, AddressRanges] = {}

    def addresses(self, tag: str) -> AddressRanges | None:
        """Return a tag's addresses; None: the list does not hold the tag."""
        name = tag.lower()
        if name not in self._parsed:
            listed = self._prefixes.get(name)
            if not listed:
                return None
            self._parsed[name] = AddressRanges.of(listed)
        return self._parsed[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a firewall does with the addresses that were asked about."""

    allowed: AddressRanges
    denied: AddressRanges
    #: Depends on a source that cannot be read, or on a rule that matches part of the traffic.
    doubtful: AddressRanges
    #: Rules that deny any of them, by name; `DEFAULT_RULE` among them.
    denied_by: tuple[str, ...]
    #: Rules that the doubt comes from, by name.
    doubted_for: tuple[str, ...]


def admit(
    firewall: Firewall, asked: Mapping[str, AddressRanges], tags: ServiceTagRanges
) -> Admission:
    """Walk the rules for the addresses of some tags; `asked` holds them by tag name.

    A rule that names an asked tag, its global tag, or Azure as a whole matches all of the tag, even
    where the lists of addresses disagree. What a firewall lets in has to pass those beyond it.
    """
    if firewall.is_ipv4_only:
        asked = {tag: ranges & IPV4 for tag, ranges in asked.items()}
    own = _walk(firewall, asked, tags)
    if firewall.beyond is None:
        return own
    beyond = admit(firewall.beyond, asked, tags)
    denied = own.denied | beyond.denied
    return Admission(
        allowed=own.allowed & beyond.allowed,
        denied=denied,
        doubtful=(own.doubtful | beyond.doubtful) - denied,
        denied_by=own.denied_by + beyond.denied_by,
        doubted_for=own.doubted_for + beyond.doubted_for,
    )


def _walk(
    firewall: Firewall, asked: Mapping[str, AddressRanges], tags: ServiceTagRanges
) -> Admission:
    undecided = union(asked.values())
    allowed = denied = doubtful = maybe_allowed = maybe_denied = NOWHERE
    denied_by: list[str] = []
    doubted_for: list[str] = []
    for rule in (*firewall.rules, _default_of(firewall)):
        for matched, is_certain in _matches(rule, asked, tags):
            matched &= undecided
            if not matched:
                continue
            if not is_certain:
                doubted_for.append(rule.name)
                if rule.access is Access.ALLOW:
                    maybe_allowed |= matched
                else:
                    maybe_denied |= matched
                continue
            undecided -= matched
            if rule.access is Access.ALLOW:
                doubtful |= matched & maybe_denied
                allowed |= matched - maybe_denied
            else:
                doubtful |= matched & maybe_allowed
                denied |= matched - maybe_allowed
                denied_by.append(rule.name)
    return Admission(
        allowed=allowed,
        denied=denied,
        doubtful=doubtful,
        denied_by=tuple(denied_by) if denied else (),
        doubted_for=tuple(doubted_for) if doubtful else (),
    )


def names(source: str, tag: str) -> bool:
    """Say whether a rule's source names a tag: itself, its global tag, or Azure as a whole."""
    source, (base, _, region) = source.strip().lower(), tag.lower().partition(".")
    return source in {tag.lower(), base, _AZURE, f"{_AZURE}.{region}"}


def _default_of(firewall: Firewall) -> FirewallRule:
    return FirewallRule(name=DEFAULT_RULE, access=firewall.default, sources=("*",))


def _matches(
    rule: FirewallRule, asked: Mapping[str, AddressRanges], tags: ServiceTagRanges
) -> Iterator[tuple[AddressRanges, bool]]:
    """Yield addresses that a rule matches, and whether it matches all of their traffic.

    A source that cannot be read may be any address: it matches all that is asked, uncertainly.
    """
    parts = [_addresses_of(source, asked, tags) for source in rule.sources]
    yield union(part for part in parts if part is not None), rule.is_certain
    if None in parts:
        yield union(asked.values()), False


def _addresses_of(
    source: str, asked: Mapping[str, AddressRanges], tags: ServiceTagRanges
) -> AddressRanges | None:
    name = source.strip().lower()
    if name in _ANYWHERE:
        return EVERYWHERE
    if name in _INSIDE:
        return NOWHERE
    if name[:1].isdigit() or ":" in name:
        return _prefix(name)
    named = union(ranges for tag, ranges in asked.items() if names(name, tag))
    listed = tags.addresses(name)
    if listed is None:
        return named or None
    return named | listed


def _prefix(text: str) -> AddressRanges | None:
    try:
        return AddressRanges.of([text])
    except ValueError:
        return None


def any_source(rules: Iterable[FirewallRule], access: Access) -> Iterable[str]:
    """Yield the sources of the rules with this access."""
    return (source for rule in rules if rule.access is access for source in rule.sources)
