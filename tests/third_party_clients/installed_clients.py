"""Run clients that were written without knowledge of this project.

`make third-party-clients` installs them into a separate folder, which `THIRD_PARTY_CLIENTS` names,
because the tests must not depend on the packages of the clients.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, start_run
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from tests.third_party_clients.third_party_tenant import ENVIRONMENT, ORDERS, SEED

INSTALLED = Path(os.environ.get("THIRD_PARTY_CLIENTS", "")).absolute()
needs_third_party_clients = pytest.mark.skipif(
    "THIRD_PARTY_CLIENTS" not in os.environ,
    reason="needs THIRD_PARTY_CLIENTS, see `make third-party-clients`",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOutput:
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A local tenant behind TLS and a proxy, for client processes that can reach nothing else."""

    tenant: Tenant
    server: TenantServer
    folder: Path

    @property
    def first_run(self) -> str:
        """Return the name of the first run of the flow *Orders*."""
        environment = self.tenant.get_part(PowerPlatform).environments[ENVIRONMENT]
        return environment.workflows[ORDERS].runs[0].name

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment variables with which a process of any language reaches only the
        tenant.
        """
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "HTTPS_PROXY": self.server.proxy_url,
            "SSL_CERT_FILE": self.server.ca_file,
            "REQUESTS_CA_BUNDLE": self.server.ca_file,
            "NODE_EXTRA_CA_CERTS": self.server.ca_file,
            "IDENTITY_ENDPOINT": self.server.identity_endpoint,
            "IDENTITY_HEADER": self.server.identity_header,
        }

    async def run(self, *command: str | Path, **environment: str) -> ProcessOutput:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        return ProcessOutput(
            code=process.returncode or 0, stdout=output.decode(), stderr=errors.decode()
        )


@asynccontextmanager
async def serve_third_party_world() -> AsyncIterator[World]:
    """Serve a tenant in which one flow has run once.

    Client processes get a temporary home folder.
    """
    tenant = Tenant()
    seed(tenant, SEED)
    environment = tenant.get_part(PowerPlatform).environments[ENVIRONMENT]
    start_run(
        tenant,
        environment,
        environment.workflows[ORDERS],
        Start(cause=RunStartKind.MANUAL, by="seed"),
    )
    with TemporaryDirectory() as folder:
        async with TenantServer(tenant) as server:
            yield World(tenant=tenant, server=server, folder=Path(folder))
