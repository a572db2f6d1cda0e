"""The kinds of firewall that the network check reads: one file for each."""

from shared.kind_discovery import kinds_in
from shared.ports import FirewallKind, ResourceReader


def firewall_kinds(resources: ResourceReader) -> dict[str, FirewallKind]:
    """Return every kind by its name: each is built on a reader, of a subscription or of files."""
    return {kind.kind: kind(resources) for kind in kinds_in(__name__)}
