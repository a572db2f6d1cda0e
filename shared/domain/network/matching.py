"""Decide whether a rule matches some traffic: True, False, or None if it is unknown.

Firewalls write ports and addresses as ranges, prefixes and names of groups. Templates also contain
expressions that only a deployment evaluates.
"""

from collections.abc import Collection, Iterable
from ipaddress import ip_address, summarize_address_range

from shared.domain.network.address_ranges import AddressRanges

HTTPS = 443
_ANYWHERE = frozenset({"*", "any", "0.0.0.0/0"})


def any_matches(answers: Iterable[bool | None]) -> bool | None:
    """Return True if one answer is True, False if all are False, else None."""
    found = [*answers]
    if True in found:
        return True
    return None if None in found else False


def all_match(answers: Iterable[bool | None]) -> bool | None:
    """Return True if all answers are True, False if one is False, else None."""
    found = [*answers]
    if False in found:
        return False
    return None if None in found else True


def includes_port(ranges: Iterable[str], port: int | None) -> bool | None:
    """Return whether ports such as `443`, `400-500` and `*` include a port, or None if unknown."""
    return any_matches(_range_includes_port(one, port) for one in ranges)


def includes_every_destination(destinations: Iterable[str]) -> bool:
    return any(one.lower() in _ANYWHERE for one in destinations)


def includes_destinations(outer: Collection[str], inner: Collection[str]) -> bool | None:
    """Return whether `outer` includes all destinations of `inner`, or None if it is unknown."""
    if includes_every_destination(outer) or set(inner) <= set(outer):
        return True
    try:
        wide, narrow = AddressRanges.parse(outer), AddressRanges.parse(inner)
    except ValueError:
        return None  # a name of a group, or an expression of a template
    if not narrow - wide:
        return True
    return None if narrow & wide else False


def format_prefixes(text: str) -> tuple[str, ...]:
    """Return a range such as `10.0.0.4-10.0.0.9` as prefixes. Any other text stays as it is."""
    first, _, last = text.partition("-")
    try:
        ends = [ip_address(end.strip()) for end in (first, last)]
        return tuple(str(one) for one in summarize_address_range(*ends))
    except (ValueError, TypeError):
        return (text,)


def _range_includes_port(ports: str, port: int | None) -> bool | None:
    first, _, last = ports.partition("-")
    if ports == "*":
        return True
    if port is None or not first.strip().isdecimal() or (last and not last.strip().isdecimal()):
        return None
    return int(first) <= port <= int(last or first)
