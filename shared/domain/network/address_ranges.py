"""Sets of IP addresses, so that "does this rule cover that tag" is arithmetic and not a guess.

A service tag is hundreds of prefixes, and a firewall rule may hold halves, neighbours or supersets
of them. A set is the sorted numbers at which one enters and leaves it, so that each question about
a span of addresses is one bisection: an even number of borders before an address, and it is
outside. Both versions of IP lie on one line of numbers, IPv6 behind IPv4 with a hole in between,
which no span crosses.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET, AF_INET6, inet_pton

#: Where IPv6 begins on the line.
_V6 = 2**33
#: Of each version: how the C library calls it, where it begins, and how many addresses a prefix of
#: a length holds; without one, it is a single address.
_IPV4 = (AF_INET, 0, {"": 1} | {str(length): 2 ** (32 - length) for length in range(33)})
_IPV6 = (AF_INET6, _V6, {"": 1} | {str(length): 2 ** (128 - length) for length in range(129)})
#: First address, and the first one behind it.
type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """A set of addresses; combine with `|`, `&`, `-`, compare with `<=`; empty ones are false."""

    #: Strictly rising, in pairs: the first address of each span, and the first one behind it.
    borders: tuple[int, ...] = ()

    @classmethod
    def of(cls, prefixes: Iterable[str]) -> "AddressRanges":
        """Read prefixes or single addresses; host bits are ignored; raises `ValueError`."""
        return _merged([_span(prefix.strip()) for prefix in prefixes])

    def __bool__(self) -> bool:
        """Say whether any address is in the set."""
        return bool(self.borders)

    def __le__(self, other: "AddressRanges") -> bool:
        """Say whether the other set holds all of this one."""
        ours, theirs = self.borders, other.borders
        for at in range(0, len(ours), 2):
            place = bisect_right(theirs, ours[at])
            if place % 2 == 0 or theirs[place] < ours[at + 1]:
                return False
        return True

    def __or__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in either."""
        return union((self, other))

    def __sub__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in this one only."""
        if not other:
            return self
        return AddressRanges(_cut(self, other.borders, inside=False))

    def __and__(self, other: "AddressRanges") -> "AddressRanges":
        """Return what is in both."""
        fewer, more = sorted((self, other), key=lambda one: len(one.borders))
        return AddressRanges(_cut(fewer, more.borders, inside=True))

    def spans(self) -> Iterator[Span]:
        """Yield the spans in order; no two of them touch."""
        borders = iter(self.borders)
        return zip(borders, borders, strict=True)

    def prefixes(self) -> tuple[str, ...]:
        """Return the fewest prefixes that are exactly this set, IPv4 first, in order."""
        return tuple(prefix for span in self.spans() for prefix in _prefixes(span))

    def ends(self) -> Iterator[tuple[str, str]]:
        """Yield the first and the last address of each span."""
        for first, end in self.spans():
            address, start = (IPv6Address, _V6) if first >= _V6 else (IPv4Address, 0)
            yield str(address(first - start)), str(address(end - 1 - start))


NOWHERE = AddressRanges()
IPV4 = AddressRanges((0, 2**32))
IPV6 = AddressRanges((_V6, _V6 + 2**128))
EVERYWHERE = AddressRanges(IPV4.borders + IPV6.borders)


def union(parts: Iterable[AddressRanges]) -> AddressRanges:
    """Return what is in any of them."""
    filled = [part for part in parts if part]
    if len(filled) == 1:
        return filled[0]
    return _merged([span for part in filled for span in part.spans()])


def _span(prefix: str) -> Span:
    """Return the span of a prefix; the C library reads it ten times as fast as `ipaddress`."""
    address, slash, length = prefix.partition("/")
    family, start, sizes = _IPV6 if ":" in address else _IPV4
    try:
        number = int.from_bytes(inet_pton(family, address))
        size = sizes[length or slash]
    except (OSError, ValueError, KeyError):
        # What that does not take is rare, or wrong: a mask in place of a length, a scope, a word.
        network = ip_network(prefix, strict=False)
        number, size = int(network.network_address), network.num_addresses
    first = start + number - number % size
    return first, first + size


def _merged(spans: list[Span]) -> AddressRanges:
    """Return the set of spans that may overlap, and sort them."""
    spans.sort()
    borders: list[int] = []
    for first, end in spans:
        if borders and first <= borders[-1]:
            borders[-1] = max(end, borders[-1])
        else:
            borders += (first, end)
    return AddressRanges(tuple(borders))


def _cut(ranges: AddressRanges, other: Sequence[int], *, inside: bool) -> tuple[int, ...]:
    """Return the borders of what lies inside the other borders, or outside of them."""
    kept: list[int] = []
    for first, end in ranges.spans():
        # Borders of the other between the two are borders of the result too.
        low = bisect_right(other, first)
        high = bisect_left(other, end, low)
        if low % 2 == inside:
            kept.append(first)
        kept += other[low:high]
        if high % 2 == inside:
            kept.append(end)
    return tuple(kept)


@lru_cache(maxsize=4096)  # every firewall that lacks a region lacks the same prefixes
def _prefixes(span: Span) -> tuple[str, ...]:
    """Return the fewest prefixes that are exactly this span."""
    first, end = span
    is_v6 = first >= _V6
    bits, start = (128, _V6) if is_v6 else (32, 0)
    address = IPv6Address if is_v6 else IPv4Address
    written = []
    while first < end:
        at = first - start
        # The largest block that begins here: by the zeros at the end of the address, and by room.
        zeros = (at & -at).bit_length() - 1 if at else bits
        step = min(zeros, (end - first).bit_length() - 1)
        written.append(f"{address(at)}/{bits - step}")
        first += 1 << step
    return tuple(written)
