"""Read and write the URLs and named values of API Management."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.callers.search import get_id
from shared.callers.secret_rights import SecretRights, list_readers
from shared.concurrency import read_each
from shared.domain.callers.caller import CallerContent
from shared.domain.callers.url_secret import (
    build_reference_to_uri,
    find_secret_uri,
    is_url_secret_reference,
    parse_secret_uri,
)
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.errors import NotFound, PlatformError
from shared.ports import Keys, ResourceSecrets, ResourceWriter, TaggedResourceReader

API_VERSION = "2024-05-01"
_NOUNS = {
    "apis": "API",
    "backends": "backend",
    "namedValues": "named value",
    "operations": "operation",
    "policyFragments": "policy fragment",
    "products": "product",
}
#: The member of `properties` that holds a URL, by the collection of the resource.
_URLS = {"apis": "serviceUrl", "backends": "url"}
#: The properties of a named value that a write keeps.
_KEPT = ("displayName", "tags")
_LONGEST_URL = 2000
_LONGEST_NAMED_VALUE = 4096
#: A trigger URL whose end is in a policy (`rewrite-uri`) or in an operation.
_BEGINNING = re.compile(
    r"/workflows/[0-9a-f]{32}(?P<rest>/triggers(?:/[^/?]+(?:/paths)?)?)?/?", re.IGNORECASE
)
_REST = ("", "triggers", "manual", "paths", "invoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in API Management that can contain a trigger URL, with its text or the error of
    reading it.
    """

    resource_id: str
    label: str
    text: str = field(default="", repr=False)
    #: Characters that it can hold; None: more than any URL needs.
    longest_text: int | None = None
    error: PlatformError | None = None


class Places(Protocol):
    """The places of one kind, such as named values."""

    async def find(self, parent: Mapping[str, object]) -> Sequence[Place]:
        """Return the places in a service, an API or a product.

        Raises `NotFound` if it does not exist.
        """

    async def read(self, resource_id: str) -> CallerContent:
        """Return the text of a place. Raises `NotFound` if it does not exist."""

    async def write(self, resource_id: str, before: CallerContent, value: CallerContent) -> None:
        """Replace the text of a place that still has the ETag of `before`.

        Raises `Conflict` if the place has changed, and `NotFound` if it does not exist.
        """


class ServiceUrls:
    """The URLs of backends, and the service URLs of APIs."""

    def __init__(self, reader: TaggedResourceReader, writer: ResourceWriter) -> None:
        self._reader, self._writer = reader, writer

    async def find(self, parent: Mapping[str, object]) -> Sequence[Place]:
        """Return the URL of an API, or of each backend of a service."""
        match get_collection_name(parent):
            case "apis":
                found = [parent]
            case "service":
                found = await self._reader.list_children(get_id(parent), "backends", API_VERSION)
            case _:
                found = []
        return [
            Place(
                resource_id=get_id(one),
                label=describe_place(get_id(one)),
                text=_get_url(one),
                longest_text=_LONGEST_URL,
            )
            for one in found
        ]

    async def read(self, resource_id: str) -> CallerContent:
        found = await self._reader.get_tagged_resource(resource_id, API_VERSION)
        return CallerContent(text=_get_url(found.document), etag=found.etag)

    async def write(self, resource_id: str, before: CallerContent, value: CallerContent) -> None:
        body = {"properties": {_URLS[resource_id.split("/")[-2]]: value.text}}
        await self._writer.patch(resource_id, API_VERSION, body, etag=before.etag)


class NamedValues:
    """The named values of services, which are texts or references to Key Vault secrets."""

    def __init__(
        self,
        reader: TaggedResourceReader,
        secrets: ResourceSecrets,
        writer: ResourceWriter,
        keys: Keys,
    ) -> None:
        self._reader, self._secrets, self._writer = reader, secrets, writer
        self._keys = keys

    async def find(self, parent: Mapping[str, object]) -> Sequence[Place]:
        """Return the named values of a service. Sends a request for each secret value."""
        if get_collection_name(parent) != "service":
            return []
        listed = await self._reader.list_children(get_id(parent), "namedValues", API_VERSION)
        return await read_each(listed, self._read_place)

    async def read(self, resource_id: str) -> CallerContent:
        """Return the value of a named value, or its reference to a Key Vault secret."""
        found = await self._reader.get_tagged_resource(resource_id, API_VERSION)
        # The ETag is read first: if the value changes in between, the write is a conflict.
        properties = mapping_at(found.document, "properties")
        is_secret = None if "keyVault" in properties else json.dumps(properties.get("secret"))
        return CallerContent(
            text=await self._read_value(resource_id, found.document),
            etag=found.etag,
            text_format=is_secret,
        )

    async def write(self, resource_id: str, before: CallerContent, value: CallerContent) -> None:
        """Replace the value, or the reference to a Key Vault secret.

        A reference is always secret. If a value replaces it, `value.text_format` says whether the
        value is secret.
        """
        if not (is_url_secret_reference(value.text) or is_url_secret_reference(before.text)):
            body = {"properties": {"value": value.text}}
            await self._writer.patch(resource_id, API_VERSION, body, etag=before.etag)
            return
        # Only a PUT exchanges a value and a reference: a PATCH keeps the other.
        properties = await self._read_properties(resource_id)
        kept = {name: properties[name] for name in _KEPT if name in properties}
        if uri := find_secret_uri(value.text):
            kept |= {"secret": True, "keyVault": await self._build_reference(resource_id, uri)}
        else:
            is_secret = json.loads(value.text_format or "true")
            kept |= {"value": value.text} | ({} if is_secret is None else {"secret": is_secret})
        await self._writer.put(resource_id, API_VERSION, {"properties": kept}, etag=before.etag)

    async def _build_reference(self, resource_id: str, uri: str) -> Mapping[str, object]:
        service = await self._reader.get(resource_id.partition("/namedValues/")[0], API_VERSION)
        readers = list_readers(service, "service")
        reader = await SecretRights(self._keys).find_reader(parse_secret_uri(uri), readers)
        client = {"identityClientId": reader.client_id} if reader.client_id else {}
        return {"secretIdentifier": uri, **client}

    async def read_status(self, resource_id: str) -> str:
        """Return how the service's last read of the secret ended, such as `Success`.

        Returns `no status` if Azure shows none.
        """
        properties = await self._read_properties(resource_id)
        return text_at(mapping_at(properties, "keyVault", "lastStatus"), "code") or "no status"

    async def _read_properties(self, resource_id: str) -> Mapping[str, object]:
        return mapping_at(await self._reader.get(resource_id, API_VERSION), "properties")

    async def _read_place(self, named_value: Mapping[str, object]) -> Place:
        name = text_at(mapping_at(named_value, "properties"), "displayName") or ""
        place = Place(
            resource_id=get_id(named_value),
            label=describe_place(get_id(named_value), name),
            longest_text=_LONGEST_NAMED_VALUE,
        )
        try:
            return replace(place, text=await self._read_value(place.resource_id, named_value))
        except NotFound:
            return place  # deleted after it was listed
        except PlatformError as err:
            return replace(place, error=err)

    async def _read_value(self, resource_id: str, named_value: Mapping[str, object]) -> str:
        properties = mapping_at(named_value, "properties")
        if "keyVault" in properties:
            uri = text_at(mapping_at(properties, "keyVault"), "secretIdentifier")
            return build_reference_to_uri(uri or "")
        if properties.get("secret"):
            properties = await self._secrets.read(resource_id, "listValue", API_VERSION)
        return text_at(properties, "value") or ""


def describe_place(resource_id: str, name: str = "") -> str:
    """Return a description such as `backend crm in the API Management service contoso`.

    `name` replaces the resource's name in the id.
    """
    service, *path = resource_id.split("/")[8:] or [""]
    pairs = [*zip(path[::2], path[1::2], strict=True)]
    is_policy = bool(pairs) and pairs[-1][0] == "policies"
    named = [
        (_NOUNS.get(kind, kind), name if name and number == len(pairs) - 1 else one)
        for number, (kind, one) in enumerate(pairs[:-1] if is_policy else pairs)
    ]
    parts = [f"{noun} {one}" for noun, one in reversed(named)]
    if is_policy:
        parts.insert(0, "policy" if parts else "policy of all APIs")
    where = f"API Management service {service}"
    return f"{' of the '.join(parts)} in the {where}" if parts else where


def get_collection_name(resource: Mapping[str, object]) -> str:
    """Return the collection that a resource is in, such as `apis`, or `service` for a service."""
    return get_id(resource).split("/")[-2]


def _get_url(resource: Mapping[str, object]) -> str:
    """Return the URL of a backend or an API.

    If it is only the beginning of a trigger URL, the rest is added, so that the URL is found but
    counts as not replaceable.
    """
    text = text_at(mapping_at(resource, "properties"), _URLS[get_collection_name(resource)]) or ""
    found = _BEGINNING.search(text)
    if found is None or found.end() < len(text):
        return text
    given = (found["rest"] or "").count("/")
    return text.rstrip("/") + "".join(f"/{part}" for part in _REST[given + 1 :])
