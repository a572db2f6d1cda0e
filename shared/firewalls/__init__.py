"""The firewall kinds that the network check reads, one file each."""

from shared.kind_discovery import find_kinds
from shared.ports import FirewallKind, ResourceReader


def build_firewall_kinds(resources: ResourceReader) -> dict[str, FirewallKind]:
    """Return every firewall kind by its name.

    `resources` reads subscriptions or template files.
    """
    return {kind.kind: kind(resources) for kind in find_kinds(__name__)}
