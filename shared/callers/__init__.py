"""The kinds of place that can hold a trigger URL or a flow id: one file for each."""

from shared.kinds import build_kinds
from shared.ports import CallerKind, PlatformPorts
from shared.settings import Settings


def caller_kinds(ports: PlatformPorts, settings: Settings) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    return build_kinds(__name__, ports, settings)
