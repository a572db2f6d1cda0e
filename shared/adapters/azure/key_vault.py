"""How a vault's contents are called: secrets by its API, keys by Microsoft's SDK.

Both go over the same pipeline. azure-keyvault-keys costs 110 ms to import, so it is imported when
the first key is looked at.

See platform.md#vault-api, #key-vault-secrets.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, read_object
from shared.adapters.http.wire import Wire

if TYPE_CHECKING:
    from azure.keyvault.keys.aio import KeyClient

SCOPE = "https://vault.azure.net/.default"
#: Version of the management API of vaults.
VAULTS_VERSION = "2026-02-01"
_API_VERSION = "7.4"
_VERSION = {"api-version": _API_VERSION}


class VaultProperties(Wire):
    """Where a vault answers."""

    vault_uri: str


class VaultListEntity(Wire):
    """A vault as Azure Resource Manager lists it."""

    properties: VaultProperties


class VaultClient:
    """Reads and writes what lies in vaults."""

    def __init__(self, http: HttpClient, service: HttpService) -> None:
        """Call as the application; `service` has `SCOPE`."""
        self._http = http
        self._service = service

    async def read(self, url: str) -> Mapping[str, object]:
        """Return one item by its URL; raises `NotFound`."""
        call = ServiceRequest(method="GET", url=url, params=_VERSION)
        return read_object(self._service, await self._http.send(self._service, call))

    async def put(self, url: str, body: Mapping[str, object]) -> None:
        """Write one item."""
        call = ServiceRequest(method="PUT", url=url, params=_VERSION, body=body)
        await self._http.send(self._service, call)

    def items(self, url: str) -> AsyncIterator[object]:
        """Yield the items of a paged list."""
        return self._http.items(
            self._service, ServiceRequest(method="GET", url=url, params=_VERSION)
        )

    @asynccontextmanager
    async def keys(self, vault_url: str) -> AsyncIterator["KeyClient"]:
        """Give the SDK's client for the keys of a vault, for one call or one list.

        It need not be closed: the pipeline, which is not its own, has all connections.
        """
        from azure.keyvault.keys.aio import KeyClient

        credential = self._service.credential
        assert credential is not None  # what the client wants; the pipeline is what uses it
        async with self._http.calling(self._service, vault_url) as pipeline:
            yield KeyClient(vault_url, credential, api_version=_API_VERSION, pipeline=pipeline)
