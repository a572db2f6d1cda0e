"""Read and write policies and policy fragments of API Management."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.callers.api_management_places import (
    API_VERSION,
    Place,
    describe_place,
    get_collection_name,
)
from shared.callers.search import get_id
from shared.concurrency import read_each
from shared.domain.callers.caller import CallerContent
from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import NotFound, PlatformError
from shared.ports import ResourceSecrets, ResourceWriter, TaggedResource, TaggedResourceReader

#: As a person writes a policy; the other format also escapes the expressions in it.
_RAW = "rawxml"
#: Users of a fragment that its label names.
_NAMED_USERS = 3


class Policies:
    """The policies of services, products, APIs and operations, and the policy fragments."""

    def __init__(
        self, reader: TaggedResourceReader, secrets: ResourceSecrets, writer: ResourceWriter
    ) -> None:
        """`secrets` is used to read which policies include a fragment."""
        self._reader, self._secrets, self._writer = reader, secrets, writer

    async def find(self, parent: Mapping[str, object]) -> Sequence[Place]:
        """Return the policies and policy fragments of a service, an API or a product.

        The policies of an API include those of its operations.
        """
        parent_id, scopes, fragments = get_id(parent), [get_id(parent)], list[str]()
        match get_collection_name(parent):
            case "apis":
                scopes += await self._read_child_ids(parent_id, "operations")
            case "service":
                fragments = await self._read_child_ids(parent_id, "policyFragments")
        policies = [f"{scope}/policies/policy" for scope in scopes]
        return await read_each([*policies, *fragments], self._read_place)

    async def read(self, resource_id: str) -> CallerContent:
        """Return the text of a policy or policy fragment, in the format that people write."""
        found = await self._get_policy(resource_id)
        return CallerContent(text=_get_policy_text(found), etag=found.etag)

    async def write(self, resource_id: str, before: CallerContent, value: CallerContent) -> None:
        """Replace the text of a policy. A fragment keeps its description."""
        kept = mapping_at((await self._get_policy(resource_id)).document, "properties")
        properties = {
            **({"description": kept["description"]} if "description" in kept else {}),
            "format": _RAW,
            "value": value.text,
        }
        body = {"properties": properties}
        await self._writer.put(resource_id, API_VERSION, body, etag=before.etag)

    async def _read_child_ids(self, parent_id: str, collection: str) -> list[str]:
        return [
            get_id(one)
            for one in await self._reader.list_children(parent_id, collection, API_VERSION)
        ]

    async def _get_policy(self, resource_id: str) -> TaggedResource:
        return await self._reader.get_tagged_resource(
            resource_id, API_VERSION, query={"format": _RAW}
        )

    async def _read_place(self, resource_id: str) -> Place:
        place = Place(resource_id=resource_id, label=describe_place(resource_id))
        try:
            text = _get_policy_text(await self._get_policy(resource_id))
            is_shared = "/policyFragments/" in resource_id and find_trigger_urls(text)
            users = await self._describe_using_policies(resource_id) if is_shared else ""
        except NotFound:
            return place  # most scopes have no policy
        except PlatformError as err:
            return replace(place, error=err)
        return replace(place, label=f"{place.label}{users}", text=text)

    async def _describe_using_policies(self, fragment_id: str) -> str:
        answer = await self._secrets.read(fragment_id, "listReferences", API_VERSION)
        users = sorted(
            describe_place(get_id(one)).partition(" in the API ")[0]
            for one in objects_at(answer, "value")
        )
        if not users:
            return " (used by no policy)"
        more = len(users) - _NAMED_USERS
        named = [*users[:_NAMED_USERS], *([f"{more} more"] if more > 0 else [])]
        return f" (used by {'; '.join(named)})"


def _get_policy_text(found: TaggedResource) -> str:
    return text_at(mapping_at(found.document, "properties"), "value") or ""
