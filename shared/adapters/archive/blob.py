"""The archive in a blob container, which Azure encrypts itself.

azure-storage-blob costs 130 ms to import, so it is imported when an archive is made, and an app
that keeps its archive in a folder never pays for it.
"""

from typing import TYPE_CHECKING

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from shared.adapters.archive.names import check_name
from shared.adapters.http.policies import CircuitBreakerGate
from shared.errors import NotFound, ServiceUnavailable
from shared.ports import Archive

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

_CONTAINER = "archive"
#: For people, when it is out.
_NAME = "Archive"


def blob_container(account: str, credential: AsyncTokenCredential) -> "ContainerClient":
    """Return the archive's container in a storage account, by the account's name."""
    from azure.storage.blob.aio import ContainerClient

    return ContainerClient(f"https://{account}.blob.core.windows.net", _CONTAINER, credential)


class BlobArchive(Archive):
    """`Archive` in a blob container, which is created with the infrastructure."""

    def __init__(self, container: "ContainerClient", circuits: CircuitBreakerGate) -> None:
        """Use `container`, which this object closes."""
        self._container = container
        self._circuits = circuits

    async def close(self) -> None:
        """Close the connections."""
        await self._container.close()

    async def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name` unless it is there; return where it stands."""
        check_name(name)
        blob = self._container.get_blob_client(name)
        async with self._circuits.calling(_NAME, "", name):
            try:
                await blob.upload_blob(content, overwrite=False)
            except ResourceExistsError:
                pass
            except AzureError as err:
                raise ServiceUnavailable(f"the archive takes nothing now: {err.message}") from err
        return f"{_CONTAINER}/{name}"

    async def get(self, name: str) -> bytes:
        """Return what was kept; raises `NotFound`."""
        check_name(name)
        async with self._circuits.calling(_NAME, "", name):
            try:
                stream = await self._container.download_blob(name)
                return await stream.readall()
            except ResourceNotFoundError as err:
                raise NotFound(f"the archive holds nothing under {name}") from err
            except AzureError as err:
                raise ServiceUnavailable(f"the archive gives nothing now: {err.message}") from err
