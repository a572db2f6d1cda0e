"""The caller kinds: kinds of places that contain trigger URLs or flow ids.

The parameters of a kind's constructor name the ports that it needs, as in `PlatformPorts`, or
`settings`.
"""

import inspect
from functools import cache
from typing import Any

from shared.kind_discovery import find_kinds
from shared.ports import CallerKind, PlatformPorts
from shared.settings import Settings


def build_caller_kinds(ports: PlatformPorts, settings: Settings) -> dict[str, CallerKind]:
    """Return every kind by its name."""
    return {
        kind.kind: kind(
            **{name: settings if name == "settings" else getattr(ports, name) for name in needs}
        )
        for kind, needs in _list_kinds()
    }


@cache
def _list_kinds() -> tuple[tuple[type[Any], tuple[str, ...]], ...]:
    return tuple((kind, tuple(inspect.signature(kind).parameters)) for kind in find_kinds(__name__))
