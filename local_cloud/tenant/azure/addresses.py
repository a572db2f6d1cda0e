"""Calculate with ranges of IPv4 addresses, to find out which sources a firewall rule matches.

IPv6 is omitted, because the hosts that flows call in the tenant have no IPv6 address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network

#: First and last address as integers.
type Range = tuple[int, int]
#: Ranges in order, none touching the next.
type Ranges = tuple[Range, ...]

#: All of IPv4: what `*`, `Any` and `Internet` mean in a rule.
EVERY_ADDRESS: Ranges = ((0, 2**32 - 1),)


def parse_ranges(prefixes: Iterable[str]) -> Ranges:
    """Parse prefixes or single addresses. Host bits are ignored.

    Raises `ValueError` if one is malformed.
    """
    networks = (ip_network(prefix.strip(), strict=False) for prefix in prefixes)
    return merge_ranges(
        (int(network.network_address), int(network.broadcast_address))
        for network in networks
        if isinstance(network, IPv4Network)
    )


def merge_ranges(ranges: Iterable[Range]) -> Ranges:
    """Sort ranges, and merge adjacent and overlapping ones."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def subtract_ranges(ranges: Ranges, others: Ranges) -> Ranges:
    """Return the addresses of `ranges` that are not in `others`."""
    remaining: list[Range] = []
    position = 0
    for first, last in ranges:
        while position < len(others) and others[position][1] < first:
            position += 1
        following = position
        while following < len(others) and others[following][0] <= last:
            if first < others[following][0]:
                remaining.append((first, others[following][0] - 1))
            first = others[following][1] + 1
            following += 1
        if first <= last:
            remaining.append((first, last))
    return tuple(remaining)
