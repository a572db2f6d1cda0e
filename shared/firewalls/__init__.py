"""The kinds of firewall that the network check reads: one file for each."""

from shared.kinds import build_kinds
from shared.ports import FirewallKind, PlatformPorts
from shared.settings import Settings


def firewall_kinds(ports: PlatformPorts, settings: Settings) -> dict[str, FirewallKind]:
    """Return every kind by its name."""
    return build_kinds(__name__, ports, settings)
