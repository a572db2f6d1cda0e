"""Read and write key-values of App Configuration. See platform.md#app-configuration."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from pydantic import Field

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, parse_object
from shared.adapters.http.wire import Wire, parse_wire
from shared.ports import AppConfiguration, KeyValue

_STORES_VERSION = "2024-05-01"
_VERSION = {"api-version": "2023-11-01"}


class _StoreProperties(Wire):
    endpoint: str


class _StoreEntity(Wire):
    properties: _StoreProperties


class _KeyValue(Wire):
    key: str
    label: str | None = None
    value: str | None = Field(None, repr=False)
    etag: str
    content_type: str | None = None
    tags: dict[str, str] | None = None
    locked: bool = False

    def to_domain(self, store_url: str) -> KeyValue:
        return KeyValue(
            store_url=store_url,
            key=self.key,
            label=self.label or "",
            value=self.value or "",
            etag=self.etag,
            content_type=self.content_type,
            tags=self.tags or {},
            is_locked=self.locked,
        )


class StoredAppConfiguration(AppConfiguration):
    """Implements the port `AppConfiguration` with the REST API of each store."""

    def __init__(self, http: HttpClient, service: HttpService, resources: ResourceManager) -> None:
        """Use the stores in the subscriptions of `resources`.

        Tokens of `service` need the scope `SCOPE`.
        """
        self._http = http
        self._service = service
        self._resources = resources

    async def read_stores(self) -> AsyncIterator[str]:
        resource_type = "Microsoft.AppConfiguration/configurationStores"
        async for store in self._resources.read_each_resource(resource_type, _STORES_VERSION):
            yield parse_wire(_StoreEntity, store).properties.endpoint.rstrip("/")

    async def list(self, store_url: str) -> list[KeyValue]:
        call = ServiceRequest(method="GET", url=f"{store_url}/kv", params=_VERSION)
        items = self._http.read_items(self._service, call, member="items", link="@nextLink")
        return [parse_wire(_KeyValue, item).to_domain(store_url) async for item in items]

    async def read(self, store_url: str, key: str, label: str) -> KeyValue:
        call = ServiceRequest(
            method="GET", url=_build_url(store_url, key), params=_build_query(label)
        )
        answer = parse_object(self._service, await self._http.send(self._service, call))
        return parse_wire(_KeyValue, answer).to_domain(store_url)

    async def write(self, key_value: KeyValue, value: str) -> None:
        call = ServiceRequest(
            method="PUT",
            url=_build_url(key_value.store_url, key_value.key),
            params=_build_query(key_value.label),
            headers={
                "If-Match": f'"{key_value.etag}"',
                "Content-Type": "application/vnd.microsoft.appconfig.kv+json",
            },
            body={
                "value": value,
                "content_type": key_value.content_type,
                "tags": dict(key_value.tags),
            },
        )
        await self._http.send(self._service, call)


def _build_url(store_url: str, key: str) -> str:
    return f"{store_url}/kv/{quote(key, safe='')}"


def _build_query(label: str) -> dict[str, str]:
    return _VERSION | ({"label": quote(label, safe="")} if label else {})
