"""Compute with sets of IP addresses.

A set is a sorted sequence of numbers at which a range starts or ends, so that a question about a
range is a bisection. IPv4 and IPv6 share one line of numbers, IPv6 after IPv4 with a hole between
them that no range crosses.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from socket import AF_INET, AF_INET6, inet_pton

#: Where IPv6 starts on the line.
_V6 = 2**33
#: For each version: its family in the C library, where it starts, and the number of addresses by
#: prefix length; without a length, it is a single address.
_IPV4 = (AF_INET, 0, {"": 1} | {str(length): 2 ** (32 - length) for length in range(33)})
_IPV6 = (AF_INET6, _V6, {"": 1} | {str(length): 2 ** (128 - length) for length in range(129)})
#: First address, and the first address after the range.
type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """A set of IP addresses. Supports `|`, `&`, `-` and `<=`. An empty set is false."""

    #: Strictly increasing, in pairs: the first address of each range, and the first address after
    #: it.
    borders: tuple[int, ...] = ()

    @classmethod
    def parse(cls, prefixes: Iterable[str]) -> "AddressRanges":
        """Parse prefixes and single addresses, without their host bits.

        Raises `ValueError` if one of them is malformed.
        """
        return _merge_spans([_parse_span(prefix.strip()) for prefix in prefixes])

    def __bool__(self) -> bool:
        return bool(self.borders)

    def __le__(self, other: "AddressRanges") -> bool:
        ours, theirs = self.borders, other.borders
        for at in range(0, len(ours), 2):
            place = bisect_right(theirs, ours[at])
            if place % 2 == 0 or theirs[place] < ours[at + 1]:
                return False
        return True

    def __or__(self, other: "AddressRanges") -> "AddressRanges":
        return unite_ranges((self, other))

    def __sub__(self, other: "AddressRanges") -> "AddressRanges":
        if not other:
            return self
        return AddressRanges(_clip_borders(self, other.borders, inside=False))

    def __and__(self, other: "AddressRanges") -> "AddressRanges":
        fewer, more = sorted((self, other), key=lambda one: len(one.borders))
        return AddressRanges(_clip_borders(fewer, more.borders, inside=True))

    def list_spans(self) -> Iterator[Span]:
        """Yield the ranges in order. No two of them touch."""
        borders = iter(self.borders)
        return zip(borders, borders, strict=True)

    def list_prefixes(self) -> tuple[str, ...]:
        """Return the fewest prefixes for exactly this set, IPv4 first, in order."""
        return tuple(prefix for span in self.list_spans() for prefix in _list_span_prefixes(span))

    def list_ends(self) -> Iterator[tuple[str, str]]:
        """Yield the first and the last address of each range."""
        for first, end in self.list_spans():
            address, start = (IPv6Address, _V6) if first >= _V6 else (IPv4Address, 0)
            yield str(address(first - start)), str(address(end - 1 - start))


NOWHERE = AddressRanges()
IPV4 = AddressRanges((0, 2**32))
IPV6 = AddressRanges((_V6, _V6 + 2**128))
EVERYWHERE = AddressRanges(IPV4.borders + IPV6.borders)


def unite_ranges(parts: Iterable[AddressRanges]) -> AddressRanges:
    """Return the union of all these sets."""
    filled = [part for part in parts if part]
    if len(filled) == 1:
        return filled[0]
    return _merge_spans([span for part in filled for span in part.list_spans()])


def _parse_span(prefix: str) -> Span:
    """Return the range of a prefix. The C library parses it ten times as fast as `ipaddress`."""
    address, slash, length = prefix.partition("/")
    family, start, sizes = _IPV6 if ":" in address else _IPV4
    try:
        number = int.from_bytes(inet_pton(family, address))
        size = sizes[length or slash]
    except (OSError, ValueError, KeyError):
        # A mask instead of a length, a scope, or an invalid text, all of them rare.
        network = ip_network(prefix, strict=False)
        number, size = int(network.network_address), network.num_addresses
    first = start + number - number % size
    return first, first + size


def _merge_spans(spans: list[Span]) -> AddressRanges:
    """Return the set of ranges, which may overlap. Sorts the list in place."""
    spans.sort()
    borders: list[int] = []
    for first, end in spans:
        if borders and first <= borders[-1]:
            borders[-1] = max(end, borders[-1])
        else:
            borders += (first, end)
    return AddressRanges(tuple(borders))


def _clip_borders(ranges: AddressRanges, other: Sequence[int], *, inside: bool) -> tuple[int, ...]:
    kept: list[int] = []
    for first, end in ranges.list_spans():
        # Borders of the other set within this range are also borders of the result.
        low = bisect_right(other, first)
        high = bisect_left(other, end, low)
        if low % 2 == inside:
            kept.append(first)
        kept += other[low:high]
        if high % 2 == inside:
            kept.append(end)
    return tuple(kept)


@lru_cache(maxsize=4096)  # firewalls without a region miss the same prefixes
def _list_span_prefixes(span: Span) -> tuple[str, ...]:
    first, end = span
    is_v6 = first >= _V6
    bits, start = (128, _V6) if is_v6 else (32, 0)
    address = IPv6Address if is_v6 else IPv4Address
    written = []
    while first < end:
        at = first - start
        # The largest block that starts here, limited by the zero bits of the address and by the
        # range.
        zeros = (at & -at).bit_length() - 1 if at else bits
        step = min(zeros, (end - first).bit_length() - 1)
        written.append(f"{address(at)}/{bits - step}")
        first += 1 << step
    return tuple(written)
