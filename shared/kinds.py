"""Finds the kinds of a package, and builds each on the ports that its constructor names.

One kind is one file. What it needs of the world it says by its parameters: their names are those
of `PlatformPorts`, and `settings`.
"""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from shared.ports import PlatformPorts
from shared.settings import Settings


def kinds_in(package: str) -> Iterator[type[Any]]:
    """Yield the class of each kind, in the order of the package's files."""
    for file in pkgutil.iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{file.name}")
        for one in vars(module).values():
            is_its_own = isinstance(one, type) and one.__module__ == module.__name__
            if is_its_own and isinstance(vars(one).get("kind"), str):
                yield one


def build_kinds(package: str, ports: PlatformPorts, settings: Settings) -> dict[str, Any]:
    """Return every kind of a package by its name."""
    return {kind.kind: _built(kind, ports, settings) for kind in kinds_in(package)}


def _built(kind: type[Any], ports: PlatformPorts, settings: Settings) -> Any:
    needs = inspect.signature(kind).parameters
    return kind(
        **{name: settings if name == "settings" else getattr(ports, name) for name in needs}
    )
