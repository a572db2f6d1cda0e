"""Collect the resource providers of Azure.

There is one module for each, which defines `PROVIDER`. Its docstring describes what is served.
"""

import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from starlette.routing import Route

from local_cloud.tenant.azure.addresses import Ranges
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceProvider:
    """A resource provider: its resource types, its further routes, and its firewalls."""

    #: What a list and an item are called in route names → resource type.
    readable: Mapping[tuple[str, str], str]
    #: Returns the routes beside those that list and read.
    routes: Callable[[], Sequence[Route]] = tuple
    #: Resource type → returns a resource as it is shown, without secret values.
    shown: Mapping[str, Callable[[JsonObject], JsonObject]] = field(default_factory=dict)
    #: Yields each of its firewalls before a host, and the addresses that it allows to callers of a
    #: region.
    find_firewalls: Callable[[Azure, str, str], Iterable[tuple[str, Ranges]]] = lambda *_: ()


@cache
def list_resource_providers() -> tuple[ResourceProvider, ...]:
    """Return the provider of each module, in the order of their names."""
    names = [file.name for file in pkgutil.iter_modules(__path__)]
    return tuple(import_module(f"{__name__}.{name}").PROVIDER for name in names)
