"""Sets of IP addresses, so that "does this rule cover that tag" is arithmetic and not a guess.

A service tag is hundreds of prefixes and a firewall rule may hold halves, neighbours or supersets
of them. Spans of integers, sorted and disjoint, IPv4 and IPv6 apart, answer every question in one
walk over both sides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_network,
    summarize_address_range,
)

type Span = tuple[int, int]
type Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """A set of addresses; combine with `|`, `&`, `-`; empty ones are false."""

    v4: Spans = ()
    v6: Spans = ()

    @classmethod
    def of(cls, prefixes: Iterable[str]) -> "AddressRanges":
        """Read prefixes or single addresses; host bits are ignored; raises `ValueError`."""
        spans: dict[int, list[Span]] = {4: [], 6: []}
        for prefix in prefixes:
            network = ip_network(prefix.strip(), strict=False)
            first, last = int(network.network_address), int(network.broadcast_address)
            spans[network.version].append((first, last))
        return cls(_merged(spans[4]), _merged(spans[6]))

    def __bool__(self) -> bool:
        """Say whether any address is in the set."""
        return bool(self.v4 or self.v6)

    def __or__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in either."""
        return AddressRanges(_merged(self.v4 + other.v4), _merged(self.v6 + other.v6))

    def __sub__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in this one only."""
        return AddressRanges(_without(self.v4, other.v4), _without(self.v6, other.v6))

    def __and__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in both."""
        return self - (self - other)

    def prefixes(self) -> tuple[str, ...]:
        """Return the fewest prefixes that are exactly this set, IPv4 first, in order."""
        v4 = (summarize_address_range(IPv4Address(a), IPv4Address(b)) for a, b in self.v4)
        v6 = (summarize_address_range(IPv6Address(a), IPv6Address(b)) for a, b in self.v6)
        return tuple(str(p) for part in v4 for p in part) + tuple(
            str(p) for part in v6 for p in part
        )


NOWHERE = AddressRanges()
EVERYWHERE = AddressRanges(((0, 2**32 - 1),), ((0, 2**128 - 1),))


def union(parts: Iterable[AddressRanges]) -> AddressRanges:
    """Return what is in any of them."""
    return reduce(AddressRanges.__or__, parts, NOWHERE)


def _merged(spans: Iterable[Span]) -> Spans:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _without(spans: Spans, removed: Sequence[Span]) -> Spans:
    """Subtract; both sides are sorted and disjoint, so one walk over each is enough."""
    left: list[Span] = []
    at = 0
    for first, last in spans:
        while at < len(removed) and removed[at][1] < first:
            at += 1
        index = at
        while index < len(removed) and removed[index][0] <= last:
            if removed[index][0] > first:
                left.append((first, removed[index][0] - 1))
            first = removed[index][1] + 1
            index += 1
        if first <= last:
            left.append((first, last))
    return tuple(left)
