"""Address ranges by service tag: the discovery API (contract §9.2)."""

from collections.abc import Iterable, Mapping

from shared.adapters.azure.resource_manager import BASE
from shared.adapters.http.client import Call, HttpClient, Service
from shared.adapters.http.wire import Wire, read_wire
from shared.ports import ServiceTags

_VERSION = "2024-05-01"
#: Selects a stamp only: the result covers the whole cloud (§9.2).
_LOCATION = "westeurope"


class _TagProperties(Wire):
    address_prefixes: tuple[str, ...] = ()


class _Tag(Wire):
    name: str
    properties: _TagProperties = _TagProperties()


class DiscoveredServiceTags(ServiceTags):
    """`ServiceTags` by the discovery API of one subscription."""

    def __init__(self, http: HttpClient, service: Service, subscription: str) -> None:
        """Ask in `subscription`, any that the app may read."""
        self._http = http
        self._service = service
        self._subscription = subscription

    async def prefixes(self) -> Mapping[str, tuple[str, ...]]:
        """Return the address prefixes of each tag, by lower-case tag name."""
        path = f"/subscriptions/{self._subscription}/providers/Microsoft.Network/locations"
        call = Call(
            method="GET",
            url=f"{BASE}{path}/{_LOCATION}/serviceTags",
            params={"api-version": _VERSION},
        )
        return prefixes_by_tag(
            [item async for item in self._http.items(self._service, call, member="values")]
        )


def prefixes_by_tag(items: Iterable[object]) -> dict[str, tuple[str, ...]]:
    """Return the prefixes of each tag of a list, by lower-case name; raises `Unreadable`."""
    tags = (read_wire(_Tag, item) for item in items)
    return {tag.name.lower(): tag.properties.address_prefixes for tag in tags}
