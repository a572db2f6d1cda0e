"""Finds the kinds of a package, and builds each on the ports that its constructor names.

One kind is one file. What it needs of the world it says by its parameters: their names are those
of `KindPorts`, and `settings`.
"""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

from shared.ports import (
    AppSettings,
    CanvasApps,
    Environments,
    EnvironmentVariables,
    ResourceReader,
    Secrets,
    Workflows,
)
from shared.settings import Settings


class KindPorts(Protocol):
    """The ports that a kind may be built on."""

    @property
    def environments(self) -> Environments:
        """Where an environment's Dataverse is."""

    @property
    def workflows(self) -> Workflows:
        """Flows as rows of Dataverse."""

    @property
    def environment_variables(self) -> EnvironmentVariables:
        """Variables of Dataverse, with their defaults."""

    @property
    def app_settings(self) -> AppSettings:
        """Settings of App Service and Functions apps."""

    @property
    def secrets(self) -> Secrets:
        """Secrets of the watched vaults."""

    @property
    def canvas_apps(self) -> CanvasApps:
        """Canvas apps, in an administrator's view."""

    @property
    def resources(self) -> ResourceReader:
        """Resources of the watched subscriptions."""


def kinds_in(package: str) -> Iterator[type[Any]]:
    """Yield the class of each kind, in the order of the package's files."""
    for file in pkgutil.iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{file.name}")
        for one in vars(module).values():
            is_its_own = isinstance(one, type) and one.__module__ == module.__name__
            if is_its_own and isinstance(vars(one).get("kind"), str):
                yield one


def build_kinds(package: str, ports: KindPorts, settings: Settings) -> dict[str, Any]:
    """Return every kind of a package by its name."""
    return {kind.kind: _built(kind, ports, settings) for kind in kinds_in(package)}


def _built(kind: type[Any], ports: KindPorts, settings: Settings) -> Any:
    needs = inspect.signature(kind).parameters
    return kind(
        **{name: settings if name == "settings" else getattr(ports, name) for name in needs}
    )
