"""Read and write secrets through the Key Vault API, and read keys with Microsoft's SDK.

Both use one HTTP pipeline. Importing azure-keyvault-keys takes 110 ms, so it is imported with the
first key. See platform.md#vault-api, #key-vault-secrets.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, parse_object
from shared.adapters.http.wire import Wire

if TYPE_CHECKING:
    from azure.keyvault.keys.aio import KeyClient

#: API version for vaults in Azure Resource Manager.
VAULTS_VERSION = "2026-02-01"
_API_VERSION = "7.4"
_VERSION = {"api-version": _API_VERSION}


class VaultProperties(Wire):
    """The properties of a vault in a list."""

    vault_uri: str


class VaultListEntity(Wire):
    """A vault as listed by Azure Resource Manager."""

    properties: VaultProperties


class VaultClient:
    """Read and write secrets and keys of vaults."""

    def __init__(self, http: HttpClient, service: HttpService) -> None:
        """`service` must have the scope `SCOPE`."""
        self._http = http
        self._service = service

    async def read(self, url: str) -> Mapping[str, object]:
        """Return an item by its URL. Raises `NotFound` if it does not exist."""
        call = ServiceRequest(method="GET", url=url, params=_VERSION)
        return parse_object(self._service, await self._http.send(self._service, call))

    async def put(self, url: str, body: Mapping[str, object]) -> None:
        """Create or update the item at a URL, such as a secret."""
        call = ServiceRequest(method="PUT", url=url, params=_VERSION, body=body)
        await self._http.send(self._service, call)

    async def post(self, url: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Return the result of an operation that changes nothing, such as a signature."""
        call = ServiceRequest(
            method="POST", url=url, params=_VERSION, body=body, is_repeatable=True
        )
        return parse_object(self._service, await self._http.send(self._service, call))

    def read_items(self, url: str) -> AsyncIterator[object]:
        """Yield the items of a list."""
        return self._http.read_items(
            self._service, ServiceRequest(method="GET", url=url, params=_VERSION)
        )

    @asynccontextmanager
    async def open_keys(self, vault_url: str) -> AsyncIterator["KeyClient"]:
        """Provide the SDK's client for the keys of a vault.

        The client need not be closed, because the pipeline owns all connections.
        """
        from azure.keyvault.keys.aio import KeyClient

        credential = self._service.credential
        assert credential is not None  # required by KeyClient, although the pipeline signs requests
        async with self._http.open_pipeline(self._service, vault_url) as pipeline:
            yield KeyClient(vault_url, credential, api_version=_API_VERSION, pipeline=pipeline)
