"""Read address ranges by service tag from the discovery API or a downloaded file.

See platform.md#service-tag-api, #service-tag-file.
"""

import asyncio
import json
from pathlib import Path

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    parse_object,
    parse_page,
    require_next_page_on_service,
)
from shared.domain.clouds import Cloud
from shared.domain.network.service_tags import ServiceTagList, parse_service_tags
from shared.errors import JobBlocked, ServiceUnavailable
from shared.ports import ServiceTags
from shared.reason import Reason

_VERSION = "2024-05-01"
#: Any location works: the result covers the whole cloud (platform.md#service-tag-api).
_LOCATION = "westeurope"


class DiscoveredServiceTags(ServiceTags):
    """Implements the port `ServiceTags` with the discovery API of a subscription."""

    def __init__(
        self, http: HttpClient, service: HttpService, subscription: str, cloud: Cloud
    ) -> None:
        """Read the list through `subscription`, which can be any that the app may read."""
        self._url = cloud.resource_manager_url
        self._http = http
        self._service = service
        self._subscription = subscription

    async def get_list(self) -> ServiceTagList:
        """Return the current list: the version of its first page, and the tags of all pages."""
        path = f"/subscriptions/{self._subscription}/providers/Microsoft.Network/locations"
        call = ServiceRequest(
            method="GET",
            url=f"{self._url}{path}/{_LOCATION}/serviceTags",
            params={"api-version": _VERSION},
        )
        first = parse_object(self._service, await self._http.send(self._service, call))
        entries, following = parse_page(self._service, first, member="values", link="nextLink")
        if following:
            require_next_page_on_service(self._service, call.url, following)
            rest = ServiceRequest(method="GET", url=following)
            more = self._http.read_items(self._service, rest, member="values")
            entries = [*entries, *[item async for item in more]]
        try:
            return parse_service_tags({**first, "values": entries})
        except ValueError as err:
            raise ServiceUnavailable(f"{self._service.name}: service tag list: {err}") from None


class DownloadedServiceTags(ServiceTags):
    """Implements the port `ServiceTags` with a downloaded file."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`.

        Each `get_list` reads it again, so an administrator can replace it.
        """
        self._path = path

    async def get_list(self) -> ServiceTagList:
        """Return the list in the file. Raises `JobBlocked` if it cannot be read."""
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
            return parse_service_tags(json.loads(data))
        except (OSError, ValueError, RecursionError) as err:
            why = err.strerror if isinstance(err, OSError) else err
            raise JobBlocked(
                f"Cannot read the service tag list {self._path}: {why}.",
                code=Reason.SERVICE_TAG_LIST_UNREADABLE,
            ) from err
