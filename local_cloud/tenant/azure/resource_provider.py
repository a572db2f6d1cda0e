"""Describe what a resource provider serves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
