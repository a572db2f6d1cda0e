"""Address ranges by service tag: the discovery API, or the downloaded file.

See platform.md#service-tag-api, #service-tag-file.
"""

import asyncio
import json
from pathlib import Path

from shared.adapters.azure.resource_manager import BASE
from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    check_next,
    read_object,
)
from shared.domain.network.service_tags import ServiceTagList, read_service_tags
from shared.errors import JobBlocked, ServiceUnavailable
from shared.ports import ServiceTags
from shared.reason import Reason

_VERSION = "2024-05-01"
#: Selects a stamp only: the result covers the whole cloud (platform.md#service-tag-api).
_LOCATION = "westeurope"


class DiscoveredServiceTags(ServiceTags):
    """`ServiceTags` by the discovery API of one subscription."""

    def __init__(self, http: HttpClient, service: HttpService, subscription: str) -> None:
        """Ask in `subscription`, any that the app may read."""
        self._http = http
        self._service = service
        self._subscription = subscription

    async def get_list(self) -> ServiceTagList:
        """Return the list as it is now: the first page tells its number, all tell its tags."""
        path = f"/subscriptions/{self._subscription}/providers/Microsoft.Network/locations"
        call = ServiceRequest(
            method="GET",
            url=f"{BASE}{path}/{_LOCATION}/serviceTags",
            params={"api-version": _VERSION},
        )
        first = read_object(self._service, await self._http.send(self._service, call))
        values = first.get("values")
        entries = list(values) if isinstance(values, list) else []
        following = first.get("nextLink")
        if isinstance(following, str) and following:
            check_next(self._service, call.url, following)
            rest = ServiceRequest(method="GET", url=following)
            entries += [
                item async for item in self._http.items(self._service, rest, member="values")
            ]
        try:
            return read_service_tags({**first, "values": entries})
        except ValueError as err:
            raise ServiceUnavailable(
                f"{self._service.name}: the list of service tags: {err}"
            ) from None


class DownloadedServiceTags(ServiceTags):
    """`ServiceTags` by a file, for where the discovery API may not be asked."""

    def __init__(self, path: Path) -> None:
        """Read the file at each call: an administrator puts a newer one in its place."""
        self._path = path

    async def get_list(self) -> ServiceTagList:
        """Return the list as the file has it now; raises `JobBlocked` if nobody can read it."""
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
            return read_service_tags(json.loads(data))
        except (OSError, ValueError, RecursionError) as err:
            why = err.strerror if isinstance(err, OSError) else err
            raise JobBlocked(
                f"The list of service tags in {self._path} cannot be read: {why}.",
                code=Reason.SERVICE_TAG_LIST_UNREADABLE,
            ) from err
