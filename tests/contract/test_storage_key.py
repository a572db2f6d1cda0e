from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import ContainerClient

from shared.adapters.archive.blob import BlobArchive
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.adapters.state.table_store import TableStore
from shared.errors import Conflict, StorageKeyUnusable
from shared.ports import StoreRow, UpsertRow

KEY = "a2V5"
CODES = (
    "KeyVaultEncryptionKeyNotFound",
    "KeyVaultVaultNotFound",
    "KeyVaultAccessTokenCannotBeAcquired",
)


class Account(ThreadingHTTPServer):
    code, status = "", 403

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/account"


class _Answer(BaseHTTPRequestHandler):
    server: Account

    def _reject(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.server.status)
        self.send_header("x-ms-error-code", self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _reject  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serve_account(code: str, status: int = 403) -> Iterator[Account]:
    server = Account(("127.0.0.1", 0), _Answer)
    server.code, server.status = code, status
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=CODES)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with serve_account(request.param) as server:
        yield server


async def test_table_of_an_account_without_its_key(account: Account) -> None:
    credential = AzureNamedKeyCredential("account", KEY)
    async with TableServiceClient(account.url, credential=credential) as service:
        store = TableStore(service)
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await store.get("flowjobs", "p", "k")
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await store.write(
                UpsertRow(StoreRow(table="flowjobs", partition="p", key="k", columns={}))
            )


async def test_archive_of_an_account_without_its_key(account: Account) -> None:
    async with ContainerClient(
        account.url, "archive", credential=AzureNamedKeyCredential("account", KEY)
    ) as container:
        archive = BlobArchive(container, NoCircuitBreakerGate())
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await archive.get("name")
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await archive.put("name", b"content")
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await archive.list_names()
        with pytest.raises(StorageKeyUnusable, match=account.code):
            await archive.delete("name")


@pytest.mark.parametrize("code", ["BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"])
async def test_file_that_a_retention_policy_or_a_legal_hold_keeps_is_not_deleted(code: str) -> None:
    """An error that looks like an outage would stop the app from copying flows."""
    credential = AzureNamedKeyCredential("account", KEY)
    with serve_account(code, 409) as account:
        async with ContainerClient(account.url, "archive", credential=credential) as container:
            archive = BlobArchive(container, NoCircuitBreakerGate())
            with pytest.raises(Conflict):
                await archive.delete("name")
