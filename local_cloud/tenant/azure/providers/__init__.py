"""Resource providers of Azure, one module for each, which defines `PROVIDER`.

The docstring of a module describes what is served.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from starlette.routing import Route

from local_cloud.tenant.azure.resources import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceProvider:
    """A resource provider: the types that can be listed and read, and further routes."""

    #: What a list and an item are called in route names → resource type.
    readable: Mapping[tuple[str, str], str]
    #: Returns the routes beside those that list and read.
    routes: Callable[[], Sequence[Route]] = tuple
    #: Resource type → returns a resource as it is shown, without secret values.
    shown: Mapping[str, Callable[[JsonObject], JsonObject]] = field(default_factory=dict)


def list_resource_providers() -> Iterator[ResourceProvider]:
    """Yield the provider of each module, in the order of their names."""
    for file in pkgutil.iter_modules(__path__):
        provider: ResourceProvider = import_module(f"{__name__}.{file.name}").PROVIDER
        yield provider
