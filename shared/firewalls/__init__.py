"""The kinds of firewall that the network check reads: one file and one line here for each."""

from shared.firewalls.app_service import AppServices
from shared.firewalls.network_security_group import NetworkSecurityGroups
from shared.ports import FirewallKind, ResourceReader


def firewall_kinds(resources: ResourceReader) -> dict[str, FirewallKind]:
    """Return every kind by its name, reading through `resources`."""
    kinds: tuple[FirewallKind, ...] = (
        NetworkSecurityGroups(resources),
        AppServices(resources),
    )
    return {kind.kind: kind for kind in kinds}
