"""How a vault's contents are called: the same for secrets and for keys (contract §4, §8)."""

from collections.abc import AsyncIterator, Mapping

from shared.adapters.http_client import Call, HttpClient, Service, read_object
from shared.adapters.wire import Wire

SCOPE = "https://vault.azure.net/.default"
#: Version of the management API of vaults.
VAULTS_VERSION = "2023-07-01"
_VERSION = {"api-version": "7.4"}


class VaultProperties(Wire):
    """Where a vault answers."""

    vault_uri: str


class VaultEntity(Wire):
    """A vault as Azure Resource Manager lists it."""

    properties: VaultProperties


class VaultContents:
    """Reads and writes what lies in vaults."""

    def __init__(self, http: HttpClient, service: Service) -> None:
        """Call as the application; `service` has `SCOPE`."""
        self._http = http
        self._service = service

    async def read(self, url: str) -> Mapping[str, object]:
        """Return one item by its URL; raises `NotFound`."""
        call = Call(method="GET", url=url, params=_VERSION)
        return read_object(self._service, await self._http.send(self._service, call))

    async def put(self, url: str, body: Mapping[str, object]) -> None:
        """Write one item."""
        call = Call(method="PUT", url=url, params=_VERSION, body=body)
        await self._http.send(self._service, call)

    def items(self, url: str) -> AsyncIterator[object]:
        """Yield the items of a paged list."""
        return self._http.items(self._service, Call(method="GET", url=url, params=_VERSION))
