"""Store the state of an app in Azurite, Microsoft's emulator of a storage account.

Azurite checks the claims of the app's OAuth tokens.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme
from azure.storage.blob.aio import ContainerClient

from shared.adapters.archive.blob import _CONTAINER

#: Path of the program, which the tests of storage accounts need.
AZURITE = os.environ.get("AZURITE", "")
ACCOUNT, _KEY = "cmkstate", "a2V5"
_SERVICES = ("blob", "queue", "table")
#: Added to the app. Azurite accepts no transaction at an address like that of Azure, so the account
#: is in the path.
_CODE = """
from shared.adapters.archive import blob
from shared.adapters.state import table_store

def open_tables(account, *others):
    from azure.data.tables.aio import TableServiceClient
    address = f"https://localhost:{ports[table]}/{{account}}"
    return TableServiceClient(  # at this address, the client expects Cosmos DB
        address, credential=others[-2], raw_response_hook=others[-1],
        audience="https://storage.azure.com",
    )

def open_container(account, *others):
    from azure.storage.blob.aio import ContainerClient
    address = f"https://localhost:{ports[blob]}/{{account}}"
    return ContainerClient(address, blob._CONTAINER, others[-1])

# The older release has other names.
for module, names, replacement in (
    (table_store, ("tables_of_account", "build_table_service"), open_tables),
    (blob, ("blob_container", "build_blob_container"), open_container),
):
    [name] = [one for one in names if hasattr(module, one)]
    setattr(module, name, replacement)
"""


@asynccontextmanager
async def serve_account(ca: bytes, folder: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Run Azurite. Yields Python code to add to an app, and settings with which the app stores its
    state there.

    `ca`: further certificates (PEM) that the app trusts.
    """
    certificate, trusted = folder / "certificate.pem", folder / "authority.pem"
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    trusted.write_bytes(ca + authority.cert_pem.bytes())
    ports = {name: find_free_port() for name in _SERVICES}
    azurite = await asyncio.create_subprocess_exec(
        AZURITE, "--silent", "--oauth", "basic", "--cert", certificate, "--key", certificate,
        "--location", folder, "--skipApiVersionCheck", "--disableTelemetry",
        *(part for name, port in ports.items() for part in (f"--{name}Port", f"{port}")),
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{_KEY}"},
    )  # fmt: skip
    container = ContainerClient(
        f"https://localhost:{ports['blob']}/{ACCOUNT}", _CONTAINER, _KEY,
        connection_verify=str(trusted),
    )  # fmt: skip
    try:
        async with container:  # repeated until Azurite listens
            await container.create_container()
        settings = {"SSL_CERT_FILE": str(trusted), "REQUESTS_CA_BUNDLE": str(trusted)}
        yield _CODE.format(ports=ports), {**settings, "CMK_STORAGE_ACCOUNT": ACCOUNT}
    finally:
        azurite.terminate()
        await azurite.wait()


def find_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
