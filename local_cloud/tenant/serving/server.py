"""Serve a tenant on three ports: TLS for its hosts, the proxy that leads there, and control.

All three use free ports of 127.0.0.1 only.
"""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from local_cloud.tenant.control.api import build_control_application
from local_cloud.tenant.core.routing import HostTable, Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.self_starting import apply_effects_of_time
from local_cloud.tenant.serving.certificates import Certificates
from local_cloud.tenant.serving.services import SERVICES
from local_cloud.tenant.serving.sovereign_clouds import SovereignCloud
from local_cloud.tenant.serving.tunnel import Tunnel

_TICK_SECONDS = 0.5


class TenantServer:
    """Serves a tenant while its block runs: `async with TenantServer(tenant) as server:`."""

    def __init__(
        self,
        tenant: Tenant,
        services: Sequence[Service] = SERVICES,
        cloud: SovereignCloud | None = None,
    ) -> None:
        """Create a server of the tenant. `cloud` gives its hosts the names of that cloud."""
        self.tenant = tenant
        self._folder = tempfile.TemporaryDirectory(prefix="local-tenant-", delete=True)
        certificates = Certificates()
        #: Path of the certificate authority to trust, for SSL_CERT_FILE and REQUESTS_CA_BUNDLE.
        self.ca_file = str(Path(self._folder.name) / "ca.pem")
        certificates.write_ca_file(Path(self.ca_file))
        #: What IDENTITY_HEADER must be for the managed identity.
        self.identity_header = secrets.token_hex(16)
        assumptions = tenant.get_part(PowerPlatform).assumptions
        self._hosts = HostTable(tenant, services, self._abort_connection, assumptions)
        self._cloud = cloud
        self._tls = _Server(cloud.wrap(self._hosts) if cloud else self._hosts, certificates)
        control = build_control_application(tenant, self.identity_header)
        self._control = _Server(cloud.wrap_identity(control) if cloud else control)
        self._closed: set[str] = set()
        self._tunnel = Tunnel(serves=self._is_host_served, tls_port=self._tls.port)
        control.state.refused_hosts = self._tunnel.refused
        self._tunnel_port = 0
        self._ticker: asyncio.Task[None] | None = None

    @property
    def proxy_url(self) -> str:
        """The address of the proxy, for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self._tunnel_port}"

    @property
    def control_url(self) -> str:
        """The address of the control API."""
        return f"http://127.0.0.1:{self._control.port}"

    @property
    def identity_endpoint(self) -> str:
        """The address of the managed identity endpoint, for IDENTITY_ENDPOINT."""
        return f"{self.control_url}/msi/token"

    @property
    def refused_hosts(self) -> list[str]:
        """The hosts to which the proxy has rejected connections."""
        return self._tunnel.refused

    async def __aenter__(self) -> Self:
        await self._tls.start()
        await self._control.start()
        self._tunnel_port = await self._tunnel.start()
        self._ticker = asyncio.create_task(self._apply_effects_of_time())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._tunnel.stop()
        await asyncio.gather(self._control.stop(), self._tls.stop())
        self._folder.cleanup()

    async def _apply_effects_of_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            await apply_effects_of_time(self.tenant)

    def close_host(self, host: str) -> None:
        """End all connections, and reject new ones to a host, as a firewall does."""
        self._closed.add(host)
        self._tunnel.disconnect()

    def _is_host_served(self, host: str) -> bool:
        if host in self._closed:
            return False
        if self._cloud is None:
            return self._hosts.find(host) is not None
        public = self._cloud.use_public_names(host)
        return self._cloud.has_host(host) and self._hosts.find(public) is not None

    def _abort_connection(self, scope: Scope) -> None:
        for protocol in list(self._tls.server_state.connections):
            assert isinstance(protocol, H11Protocol)
            if protocol.client == scope["client"]:
                protocol.transport.abort()


class _Server(uvicorn.Server):
    """A uvicorn server in the running event loop, whose port is known before it starts."""

    def __init__(self, app: ASGIApp, certificates: Certificates | None = None) -> None:
        context = certificates.server_context if certificates else None
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=120,
                timeout_graceful_shutdown=1,
                ssl_context_factory=(lambda _config, _default: context) if context else None,
            )
        )
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        # asyncio does so only for sockets whose protocol is named; without, answers wait 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: this process handles its signals itself."""
        yield

    async def start(self) -> None:
        self._task = asyncio.create_task(self.serve(sockets=[self._socket]))
        await self._ready.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def stop(self) -> None:
        """Stop accepting connections. Requests in progress get one second."""
        self.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
