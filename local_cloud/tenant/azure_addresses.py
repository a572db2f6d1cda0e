"""Set arithmetic on IP prefixes: which part of a range does a rule speak about?

Two prefixes are either disjoint or one holds the other, so every answer is again a list of
prefixes. IPv4 and IPv6 never meet.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import cast

type Network = IPv4Network | IPv6Network

#: Both address families as a whole: what `*`, `Any` and `Internet` mean in a rule.
EVERY_ADDRESS: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def parse_networks(prefixes: Iterable[str]) -> list[Network]:
    """Read prefixes or single addresses, host bits allowed; raise ValueError on anything else."""
    return [ip_network(prefix.strip(), strict=False) for prefix in prefixes]


def split_by(networks: Iterable[Network], others: Iterable[Network]) -> tuple[list[Network], bool]:
    """Take `others` out of `networks`: what remains, and whether anything was taken."""
    remaining = list(networks)
    has_overlap = False
    for other in others:
        kept: list[Network] = []
        for network in remaining:
            if network.version != other.version or not network.overlaps(other):
                kept.append(network)
                continue
            has_overlap = True
            if network != other and _holds(network, other):
                kept.extend(_without(network, other))
        remaining = kept
    return remaining, has_overlap


def collapse(networks: Iterable[Network]) -> list[Network]:
    """Join neighbours and drop repetitions, IPv4 first."""
    all_networks = list(networks)
    four = [network for network in all_networks if isinstance(network, IPv4Network)]
    six = [network for network in all_networks if isinstance(network, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def _holds(outer: Network, inner: Network) -> bool:
    return outer.prefixlen < inner.prefixlen


def _without(outer: Network, inner: Network) -> Iterable[Network]:
    if isinstance(outer, IPv4Network):
        return outer.address_exclude(cast("IPv4Network", inner))
    return outer.address_exclude(cast("IPv6Network", inner))
