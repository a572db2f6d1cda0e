"""Open the state of an app: in a storage account, or in a folder of this machine.

Imported only when a command runs, because the SDKs load slowly.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import AzureCliCredential

from cmkflow.state_transfer import StatePlace
from shared.adapters.archive.blob import BlobArchive, build_blob_container
from shared.adapters.archive.folder import FolderArchive
from shared.adapters.entra.identity import build_application_credential
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.adapters.state.sqlite_store import SqliteStore
from shared.adapters.state.table_store import TableStore, build_table_service
from shared.domain.clouds import Cloud


@asynccontextmanager
async def open_state_in_account(
    account: str, cloud: Cloud, *, is_managed_identity: bool
) -> AsyncIterator[StatePlace]:
    """Open the state in a storage account. Signs in as the account of `az login` or the managed
    identity.
    """
    async with AsyncExitStack() as closing:
        credential: AsyncTokenCredential = (
            build_application_credential("") if is_managed_identity else AzureCliCredential()
        )
        closing.push_async_callback(credential.close)
        domain = cloud.storage_domain
        store = TableStore(build_table_service(account, domain, credential, lambda _: None))
        closing.push_async_callback(store.close)
        archive = BlobArchive(
            build_blob_container(account, domain, credential), NoCircuitBreakerGate()
        )
        closing.push_async_callback(archive.close)
        yield StatePlace(store, archive)


@asynccontextmanager
async def open_state_in_folder(folder: Path, archive_key: str) -> AsyncIterator[StatePlace]:
    """Open the state in a folder. Raises `ValueError` if the archive key is not valid."""
    archive = FolderArchive(folder / "archive", archive_key)
    store = SqliteStore(folder / "state.db")
    try:
        yield StatePlace(store, archive)
    finally:
        await store.close()
