"""Read and write Azure resources of any type, for firewall kinds and other adapters."""

import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    parse_object,
    require_next_page_on_service,
)
from shared.domain.clouds import Cloud
from shared.domain.definitions.json_values import as_mapping
from shared.domain.permissions import WATCHED
from shared.errors import (
    NotFound,
    PlatformError,
    ProviderNotRegistered,
    ServiceUnavailable,
    SubscriptionsUnread,
)
from shared.ports import (
    PagedResourceReader,
    ResourceWriter,
    ResultPage,
    TaggedResource,
    TaggedResourceReader,
)

_RESOURCES_VERSION = "2021-04-01"
#: Azure's code for one that does not exist, or that the app's tenant does not know.
_NOT_FOUND = "SubscriptionNotFound"


class ResourceManager(PagedResourceReader, TaggedResourceReader, ResourceWriter):
    """Reads and writes the Azure resources of the configured subscriptions."""

    def __init__(
        self, http: HttpClient, service: HttpService, subscriptions: Sequence[str], cloud: Cloud
    ) -> None:
        """Use `service` for all requests. `subscriptions` are ids."""
        self._url = cloud.resource_manager_url
        self._http = http
        self._service = service
        self.subscriptions = tuple(subscriptions)

    async def list(self, resource_type: str, api_version: str) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        try:
            async for resource in self.read_each_resource(resource_type, api_version):
                found.append(resource)  # noqa: PERF401 -- kept if a later one fails
        except SubscriptionsUnread as err:
            err.found = found
            raise
        return found

    async def read_each_resource(
        self, resource_type: str, api_version: str
    ) -> AsyncIterator[Mapping[str, object]]:
        """Yield every resource of a type in the configured subscriptions.

        At the end, raises `SubscriptionsUnread` if a subscription may not be read or does not
        exist.
        """
        async for item in self._read_from_each_subscription(
            f"/providers/{resource_type}", api_version
        ):
            yield item

    async def read_each_child(self, resource_type: str) -> AsyncIterator[Mapping[str, object]]:
        """Yield the id and name of every resource of a child type, such as slots.

        Reads the list of all resources, because Azure has no list of a child type. Raises the
        errors of `read_each_resource`.
        """
        where = f"resourceType eq '{resource_type}'"
        async for item in self._read_from_each_subscription(
            "/resources", _RESOURCES_VERSION, where
        ):
            yield item

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        return await self.send("GET", resource_id + suffix, api_version)

    async def get_tagged_resource(
        self, resource_id: str, api_version: str, *, query: Mapping[str, str] | None = None
    ) -> TaggedResource:
        call = ServiceRequest(
            method="GET",
            url=self._url + resource_id,
            params={"api-version": api_version, **(query or {})},
        )
        answer = await self._http.send(self._service, call)
        etag = answer.headers.get("ETag")
        if not etag:  # a write without it could overwrite a person's edit
            raise ServiceUnavailable(f"{self._service.name}: no ETag in the response")
        return TaggedResource(document=parse_object(self._service, answer), etag=etag)

    async def get_text(self, resource_id: str, api_version: str) -> str:
        call = ServiceRequest(
            method="GET",
            url=self._url + resource_id,
            params={"api-version": api_version},
            headers={"Accept": "*/*"},
        )
        return (await self._http.send(self._service, call)).body.decode(errors="replace")

    async def list_children(
        self, resource_id: str, collection: str, api_version: str, *, where: str = ""
    ) -> builtins.list[Mapping[str, object]]:
        """Return the items of a collection of a resource that meet the OData condition `where`."""
        path = f"{resource_id}/{collection}"
        return [item async for item in self._read_items(path, api_version, where)]

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list`.

        A cursor contains the index of a subscription in `subscriptions`, and the URL of a page of
        its resources.
        """
        place, _, url = cursor.partition(" ")
        number = int(place or 0)
        if number >= len(self.subscriptions):
            return ResultPage(items=(), cursor="")
        path = f"/subscriptions/{self.subscriptions[number]}/providers/{resource_type}"
        try:
            page = await self._read_page(path, api_version, url)
        except ProviderNotRegistered:
            page = ResultPage(
                items=(), cursor=""
            )  # the provider is not registered in this subscription
        except (NotFound, PlatformError) as err:
            if url:  # the cursor may have expired
                raise
            raise _build_unread_error({self.subscriptions[number]: err}, is_all=False) from err
        if page.cursor:
            return replace(page, cursor=f"{number} {page.cursor}")
        has_more = number + 1 < len(self.subscriptions)
        return replace(page, cursor=f"{number + 1} " if has_more else "")

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        return await self._read_page(f"{resource_id}/{collection}", api_version, cursor)

    async def _read_page(
        self, path: str, api_version: str, url: str
    ) -> ResultPage[Mapping[str, object]]:
        call = ServiceRequest(
            method="GET",
            url=url or self._url + path,
            params={} if url else {"api-version": api_version},
        )
        if url:  # it was stored in a row
            require_next_page_on_service(self._service, self._url + path, url)
        items, following = await self._http.read_page(self._service, call)
        return ResultPage(items=tuple(map(as_mapping, items)), cursor=following)

    async def put(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None,
    ) -> None:
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        await self._send_write("PUT", resource_id, api_version, body, condition)

    async def patch(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None = None,
    ) -> None:
        condition = {} if etag is None else {"If-Match": etag}
        await self._send_write("PATCH", resource_id, api_version, body, condition)

    async def delete(self, resource_id: str, api_version: str) -> None:
        with suppress(NotFound):
            await self._send_write("DELETE", resource_id, api_version)

    async def restart(self, resource_id: str, api_version: str) -> None:
        await self._send_write("POST", f"{resource_id}/restart", api_version)

    async def _send_write(
        self,
        method: str,
        path: str,
        api_version: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        call = ServiceRequest(
            method=method,
            url=self._url + path,
            params={"api-version": api_version},
            headers=headers or {},
            body=body,
        )
        await self._http.send(self._service, call)

    async def _read_from_each_subscription(
        self, collection: str, api_version: str, where: str = ""
    ) -> AsyncIterator[Mapping[str, object]]:
        unread: dict[str, NotFound | PlatformError] = {}
        for subscription in self.subscriptions:
            path = f"/subscriptions/{subscription}{collection}"
            try:
                async for item in self._read_items(path, api_version, where):
                    yield item
            except ProviderNotRegistered:
                continue  # the provider is not registered in this subscription
            except (NotFound, PlatformError) as err:
                unread[subscription] = err
        if unread:
            raise _build_unread_error(unread, is_all=len(unread) == len(self.subscriptions))

    async def _read_items(
        self, path: str, api_version: str, where: str = ""
    ) -> AsyncIterator[Mapping[str, object]]:
        params = {"api-version": api_version} | ({"$filter": where} if where else {})
        call = ServiceRequest(method="GET", url=self._url + path, params=params)
        async for item in self._http.read_items(self._service, call):
            yield as_mapping(item)

    async def send(
        self, method: str, path: str, api_version: str, *, body: object = None
    ) -> Mapping[str, object]:
        """Send a request to a resource's path and return the response.

        A POST must be a read, such as `…/list`, because it may be sent twice.
        """
        call = ServiceRequest(
            method=method,
            url=self._url + path,
            params={"api-version": api_version},
            body=body,
            is_repeatable=method in ("GET", "POST"),
        )
        return parse_object(self._service, await self._http.send(self._service, call))


def _build_unread_error(
    unread: Mapping[str, NotFound | PlatformError], *, is_all: bool
) -> SubscriptionsUnread:
    names, first = ", ".join(unread), next(iter(unread.values()))
    return SubscriptionsUnread(
        f"{names} of CMK_SUBSCRIPTION_IDS was not read: {first}. {WATCHED.fix}",
        code=_NOT_FOUND if isinstance(first, NotFound) else first.code,
        status=HTTPStatus.NOT_FOUND if isinstance(first, NotFound) else first.status,
        subscriptions=names,
        is_all=is_all,
    )
