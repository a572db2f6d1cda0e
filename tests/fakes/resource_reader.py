"""Fake of the port `ResourceReader`, with the Azure resources that a test added."""

import builtins
from collections.abc import Mapping

from shared.errors import NotFound
from shared.ports import PagedResourceReader, ResultPage, TaggedResource, TaggedResourceReader
from tests.fakes.hidden_values import without_secrets
from tests.fakes.world import WorldFake


class FakeResourceReader(WorldFake, PagedResourceReader, TaggedResourceReader):
    async def list(
        self, resource_type: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        return [
            without_secrets(resource)
            for resource in self._world.resources.values()
            if str(resource.get("type", "")).lower() == resource_type.lower()
        ]

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        try:
            return without_secrets(self._world.resources[(resource_id + suffix).lower()])
        except KeyError:
            raise NotFound(f"No resource {resource_id}{suffix}") from None

    async def get_tagged_resource(
        self, resource_id: str, api_version: str, *, query: Mapping[str, str] | None = None
    ) -> TaggedResource:
        found = dict(await self.get(resource_id, api_version))
        return TaggedResource(etag=str(found.pop("etag", "W/0")), document=found)

    async def get_text(self, resource_id: str, api_version: str) -> str:
        return str((await self.get(resource_id, api_version))["text"])

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
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
        return self._build_page(await self.list(resource_type, api_version), cursor)

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
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
