"""Fake of the port `ResourceReader`: Azure resources as JSON, which a test added."""

import builtins
from collections.abc import Mapping

from shared.errors import NotFound
from shared.ports import PagedResourceReader, ResultPage, TaggedResource, TaggedResourceReader
from tests.fakes.hidden_values import without_secrets
from tests.fakes.test_world import World


class FakeResourceReader(PagedResourceReader, TaggedResourceReader):
    """Implements `ResourceReader` with the Azure resources of a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(
        self, resource_type: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        """Return every resource of a type. The case of the type is ignored."""
        return [
            without_secrets(resource)
            for resource in self._world.resources.values()
            if str(resource.get("type", "")).lower() == resource_type.lower()
        ]

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        """Return a resource, or the one at `suffix` below it.

        Raises `NotFound` if it does not exist.
        """
        try:
            return without_secrets(self._world.resources[(resource_id + suffix).lower()])
        except KeyError:
            raise NotFound(f"No resource {resource_id}{suffix}") from None

    async def get_tagged_resource(
        self, resource_id: str, api_version: str, *, query: Mapping[str, str] | None = None
    ) -> TaggedResource:
        """Return one resource with its ETag; raises `NotFound`."""
        found = dict(await self.get(resource_id, api_version))
        return TaggedResource(etag=str(found.pop("etag", "W/0")), document=found)

    async def get_text(self, resource_id: str, api_version: str) -> str:
        """Return the text of a runbook; raises `NotFound`."""
        return str((await self.get(resource_id, api_version))["text"])

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        """Return all resources of a collection below a resource; raises `NotFound`."""
        if collection == "providers/Microsoft.Authorization/permissions":
            return [self._world.permissions.get(resource_id.lower(), self._world.may_all)]
        await self.get(resource_id, api_version)
        start = f"{resource_id}/{collection}/".lower()
        return [
            without_secrets(one)
            for path, one in self._world.resources.items()
            if path.startswith(start) and "/" not in path.removeprefix(start)
        ]

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list`."""
        return self._build_page(await self.list(resource_type, api_version), cursor)

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list_children`; raises `NotFound`."""
        return self._build_page(
            await self.list_children(resource_id, collection, api_version), cursor
        )

    def _build_page(
        self, found: builtins.list[Mapping[str, object]], cursor: str
    ) -> ResultPage[Mapping[str, object]]:
        first, size = int(cursor or 0), self._world.resource_page
        end = first + size
        following = str(end) if end < len(found) else ""
        return ResultPage(items=tuple(found[first:end]), cursor=following)
