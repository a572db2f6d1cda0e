"""The base class of firewall kinds in Azure, and concurrent reads of child resources."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from shared.concurrency import read_each
from shared.errors import NotFound
from shared.ports import ResourceReader

type Resource = Mapping[str, object]


class AzureResources:
    """The base class of firewall kinds in Azure."""

    def __init__(self, resources: ResourceReader) -> None:
        self._resources = resources


async def read_children_of_each[R](
    resources: Iterable[Resource], read: Callable[[str], Coroutine[Any, Any, R]]
) -> list[tuple[Resource, R]]:
    """Return each resource with the result of `read` for its id.

    Omits resources for which `read` raises `NotFound`, because they were deleted since they were
    listed.
    """

    async def read_children(resource: Resource) -> list[tuple[Resource, R]]:
        try:
            return [(resource, await read(str(resource.get("id"))))]
        except NotFound:
            return []

    found = await read_each(resources, read_children)
    return [one for some in found for one in some]
