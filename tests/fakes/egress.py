"""Compute the addresses from which a flow calls, and find the firewall that denies its calls."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from shared.domain.network.firewall import Firewall, RuleAction
from tests.fakes.tenant import FakeFlow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fakes.world import World

_ANYBODY = frozenset({"*", "any", "internet", "0.0.0.0/0"})


def find_egress_tag(world: World, flow: FakeFlow) -> str:
    """Return the service tag of the addresses from which a flow calls.

    See platform.md#plex-tag.
    """
    region = world.get_environment(flow.environment_id).region
    return f"{'powerplatformplex' if flow.is_protected else 'logicapps'}.{region}"


def find_denying_firewall(world: World, flow: FakeFlow, host: str) -> str | None:
    """Return the name of a firewall of `host` that denies one of the flow's addresses, or None."""
    addresses = _parse_networks(world.service_tags.get(find_egress_tag(world, flow), ()))
    for firewall in world.firewalls:
        if host in firewall.hosts and not all(
            _is_allowed(world, firewall, one) for one in addresses
        ):
            return firewall.name
    return None


def _is_allowed(world: World, firewall: Firewall, address: IPv4Network | IPv6Network) -> bool:
    for rule in firewall.rules:
        if any(_has_address(world, source.lower(), address) for source in rule.sources):
            return rule.action is RuleAction.ALLOW
    return firewall.default is RuleAction.ALLOW


def _has_address(world: World, source: str, address: IPv4Network | IPv6Network) -> bool:
    if source in _ANYBODY:
        return True
    prefixes = world.service_tags.get(source)
    if prefixes is None and not source[:1].isdigit() and ":" not in source:
        return False
    return any(
        network.version == address.version and address.subnet_of(network)  # type: ignore[arg-type]  # same version
        for network in _parse_networks(prefixes if prefixes is not None else (source,))
    )


def _parse_networks(prefixes: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(prefix, strict=False) for prefix in prefixes]
