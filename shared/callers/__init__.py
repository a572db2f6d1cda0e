"""The kinds of place that hold trigger URLs or flow ids: one file for each.

What a kind needs of the world it says by the parameters of its constructor: their names are those
of `PlatformPorts`, and `settings`.
"""

import inspect
from typing import Any

from shared.kind_discovery import kinds_in
from shared.ports import CallerKind, PlatformPorts
from shared.settings import Settings


def caller_kinds(ports: PlatformPorts, settings: Settings) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    return {kind.kind: _built(kind, ports, settings) for kind in kinds_in(__name__)}


def _built(kind: type[Any], ports: PlatformPorts, settings: Settings) -> CallerKind:
    needs = inspect.signature(kind).parameters
    built: CallerKind = kind(
        **{name: settings if name == "settings" else getattr(ports, name) for name in needs}
    )
    return built
