import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.contract.adapter_world import run_adapters
from tests.local_cloud.tenant.tenant_world import APP_CLIENT, ENVIRONMENT

ROOT = Path(__file__).parents[2]
LIST_ENVIRONMENTS = f"""
import asyncio
from shared.domain.clouds import PUBLIC
from shared.adapters.http.client import HttpClient, HttpService, build_default_transport
from shared.adapters.entra.identity import build_application_credential
from shared.adapters.power_platform import PowerPlatformAdmin
from shared.adapters.system_clock import SystemClock

async def main():
    http = HttpClient(build_default_transport())
    credential = build_application_credential("{APP_CLIENT}")
    service = HttpService(name="admin", scope=PUBLIC.power_apps_scope, credential=credential)
    for environment in await PowerPlatformAdmin(http, service, SystemClock(), PUBLIC).list():
        print(environment.id)
    await http.close()
    await credential.close()

asyncio.run(main())
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
import shared.adapters
for module in pkgutil.walk_packages(shared.adapters.__path__, "shared.adapters."):
    importlib.import_module(module.name)
print("\\n".join(sys.modules))
"""


async def run_code(code: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_proxy_certificates_and_identity_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The app has no setting for the platform's address."""
    async with run_adapters(monkeypatch) as app:
        printed = await run_code(LIST_ENVIRONMENTS, SSL_CERT_FILE=app.world.server.ca_file)

    assert ENVIRONMENT in printed.split()


async def test_importing_the_adapters_imports_no_heavy_library() -> None:
    """A factory imports its slow library when it is called."""
    modules = set((await run_code(IMPORT_ALL)).split())

    assert "shared.adapters.archive.blob" in modules
    heavy = {"aiohttp", "azure.data.tables", "azure.identity", "azure.storage.blob", "msal"}
    assert not heavy & modules
