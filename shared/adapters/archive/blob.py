"""Archive files in a blob container, which Azure encrypts.

Importing azure-storage-blob takes 130 ms, so it is imported only when the archive is created.
"""

from typing import TYPE_CHECKING

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from shared.adapters.archive.names import require_valid_name
from shared.adapters.http.policies import CircuitBreakerGate
from shared.adapters.http.storage_key import get_storage_error_code, is_key_unusable
from shared.errors import Conflict, NotFound, ServiceUnavailable, StorageKeyUnusable
from shared.ports import Archive

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

_CONTAINER = "archive"
#: Name in logs and errors.
_NAME = "Archive"
#: Answers to a deletion of a blob that an immutability policy or a legal hold keeps.
_KEPT = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"})


def build_blob_container(
    account: str, domain: str, credential: AsyncTokenCredential
) -> "ContainerClient":
    """Return the archive container of a storage account by its name and its cloud's `domain`."""
    from azure.storage.blob.aio import ContainerClient

    return ContainerClient(f"https://{account}.blob.{domain}", _CONTAINER, credential)


class BlobArchive(Archive):
    """Implements the port `Archive` with a blob container of the app's storage account."""

    def __init__(self, container: "ContainerClient", circuits: CircuitBreakerGate) -> None:
        """Take ownership of `container`: `close` closes it."""
        self._container = container
        self._circuits = circuits

    async def close(self) -> None:
        """Close the connections."""
        await self._container.close()

    async def put(self, name: str, content: bytes) -> str:
        require_valid_name(name)
        blob = self._container.get_blob_client(name)
        async with self._circuits.guard_request(_NAME, "", name):
            try:
                await blob.upload_blob(content, overwrite=False)
            except ResourceExistsError:
                pass
            except AzureError as err:
                raise _build_error("Cannot write to the archive", err) from err
        return f"{_CONTAINER}/{name}"

    async def list_names(self, folder: str = "") -> list[str]:
        async with self._circuits.guard_request(_NAME, "", folder):
            try:
                names = self._container.list_blob_names(name_starts_with=folder or None)
                return [name async for name in names]
            except AzureError as err:
                raise _build_error("Cannot read the archive", err) from err

    async def get(self, name: str) -> bytes:
        require_valid_name(name)
        async with self._circuits.guard_request(_NAME, "", name):
            try:
                stream = await self._container.download_blob(name)
                return await stream.readall()
            except ResourceNotFoundError as err:
                raise NotFound(f"{name} is not in the archive") from err
            except AzureError as err:
                raise _build_error("Cannot read the archive", err) from err

    async def delete(self, name: str) -> None:
        require_valid_name(name)
        async with self._circuits.guard_request(_NAME, "", name):
            try:
                await self._container.delete_blob(name)
            except ResourceNotFoundError:
                pass
            except AzureError as err:
                if get_storage_error_code(err) in _KEPT:
                    raise Conflict(f"A retention policy or a legal hold keeps {name}") from err
                raise _build_error("Cannot delete from the archive", err) from err


def _build_error(text: str, err: AzureError) -> ServiceUnavailable:
    code = get_storage_error_code(err)
    if is_key_unusable(getattr(err, "status_code", 0) or 0, code):
        return StorageKeyUnusable(code)
    return ServiceUnavailable(f"{text}: {err.message}")
