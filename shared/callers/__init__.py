"""The caller kinds: places that hold trigger URLs or flow ids, one file each.

The parameters of a kind's constructor name the ports that it needs, as in `PlatformPorts`, or
`settings`.
"""

import inspect
from typing import Any

from shared.kind_discovery import kinds_in
from shared.ports import CallerKind, PlatformPorts
from shared.settings import Settings


def build_caller_kinds(ports: PlatformPorts, settings: Settings) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    return {kind.kind: _build_caller_kind(kind, ports, settings) for kind in kinds_in(__name__)}


def _build_caller_kind(kind: type[Any], ports: PlatformPorts, settings: Settings) -> CallerKind:
    needs = inspect.signature(kind).parameters
    built: CallerKind = kind(
        **{name: settings if name == "settings" else getattr(ports, name) for name in needs}
    )
    return built
