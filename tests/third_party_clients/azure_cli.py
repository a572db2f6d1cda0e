"""Run the real Azure CLI, signed in to a local tenant."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.serving.services import SERVICES
from tests.contract.adapter_world import Adapters, build_description, run_adapters
from tests.local_cloud.tenant.tenant_world import APP_CLIENT, TENANT_ID

INSTALLED = Path(os.environ.get("AZURE_CLI", "")).absolute()
needs_azure_cli = pytest.mark.skipif(
    "AZURE_CLI" not in os.environ, reason="needs AZURE_CLI, see `make third-party-clients`"
)
_SECRET = "app-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCli:
    """A shell in which `az` is signed in as the app."""

    app: Adapters
    folder: Path

    async def run(self, text: str) -> str:
        """Run a shell script and return its output. Raises `AssertionError` if a command fails."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            text,
            cwd=self.folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, f"{text}\n{errors.decode()}"
        return output.decode()

    @property
    def _environment(self) -> dict[str, str]:
        server = self.app.world.server
        return {
            "PATH": os.pathsep.join((str(INSTALLED / "bin"), os.environ["PATH"])),
            "HOME": str(self.folder),
            "AZURE_CONFIG_DIR": str(self.folder / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "HTTPS_PROXY": server.proxy_url,
            "REQUESTS_CA_BUNDLE": server.ca_file,
        }


@asynccontextmanager
async def sign_in_to_azure_cli(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    azure: Sequence[dict[str, Any]] = (),
    services: Sequence[Service] = SERVICES,
) -> AsyncIterator[AzureCli]:
    """Serve a local tenant with these additional Azure resources, and yield an Azure CLI that is
    signed in to it.
    """
    described = build_description()
    for part in azure:
        for member, value in part.items():
            there = described["azure"].get(member, [])
            described["azure"][member] = [*there, *value]
    async with run_adapters(monkeypatch, described, services) as app:
        cli = AzureCli(app=app, folder=folder)
        await cli.run(
            f"az login --service-principal --username {APP_CLIENT} --password {_SECRET}"
            f" --tenant {TENANT_ID}"
        )
        yield cli
