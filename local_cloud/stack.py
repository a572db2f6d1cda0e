"""Start the local cloud and the app as processes of this machine, and stop them.

The app finds the local cloud through environment variables: a proxy, a certificate authority, an
identity endpoint, a connection string, and settings.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
#: The environment variables that the app inherits; others could name another proxy.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
_READY_SECONDS = 120.0
_STOP_SECONDS = 10.0


class StackError(Exception):
    """A process did not start, or ended unexpectedly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    #: The folder for state, logs and the tenant's seed.
    folder: Path
    #: The tenant's seed (local_cloud/tenant/README.md).
    seed: Mapping[str, Any]
    #: Settings of the app, without the addresses of the other processes.
    settings: Mapping[str, str] = field(default_factory=dict)
    app_dir: Path = ROOT
    #: The registration in the seed with which people sign in. If empty, the function key gives
    #: all rights.
    sign_in_client_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAddress:
    proxy: str
    ca_file: str
    control: str
    identity_endpoint: str
    identity_header: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAddress:
    url: str
    key: str


class Stack:
    """The processes of a local cloud: collector, Service Bus, tenant and app.

    Entering the block starts all but the app, which `start_app` starts.
    """

    #: The address of the collector of traces and metrics.
    collector: str
    tenant: TenantAddress
    service_bus: str
    app: AppAddress

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._function_key = secrets.token_urlsafe(24)

    async def __aenter__(self) -> Self:
        folder = self.options.folder
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        seed = folder / "tenant.json"
        await asyncio.to_thread(_write_private, seed, json.dumps(self.options.seed))
        try:
            ready = await self._start_module(
                "collector", "local_cloud.collector", "--port", "0",
                "--file", str(self.spans_file),
            )  # fmt: skip
            self.collector = ready["listening"]
            await self._start_service_bus()
            ready = await self._start_module(
                "tenant", "local_cloud.tenant", "--seed", str(seed),
                "--service-bus", self.service_bus,
            )  # fmt: skip
            self.tenant = TenantAddress(**ready)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start_app(self, name: str = "app") -> AppAddress:
        """Start the app, for the first time or after `kill_app`.

        Raises `StackError` if it does not start. A different `name` starts another instance of the
        app beside the running ones.
        """
        ready = await self._start_module(
            name, "local_cloud.functions_host", str(self.options.app_dir),
            "--port", "0", f"--function-key={self._function_key}",  # it may begin with a dash
            environment=self.build_app_environment(name),
        )  # fmt: skip
        self.app = AppAddress(url=ready["listening"], key=ready["function_key"])
        return self.app

    async def kill_app(self) -> None:
        """Kill the app's process, as if its machine had failed."""
        process = self._running.pop("app")
        process.kill()
        await process.wait()

    async def stop(self) -> None:
        while self._running:
            _, process = self._running.popitem()
            await _stop_process(process)

    def check(self) -> None:
        for name, process in self._running.items():
            if process.returncode is not None:
                raise StackError(
                    f"{name} ended with {process.returncode}: see {self.locate_log(name)}"
                )

    def process_id(self, name: str) -> int:
        return self._running[name].pid

    def locate_log(self, name: str) -> Path:
        return self.options.folder / f"{name}.log"

    @property
    def spans_file(self) -> Path:
        return self.options.folder / "spans.jsonl"

    def build_app_environment(self, name: str = "app") -> dict[str, str]:
        """Return the environment variables with which the app finds the tenant and Service Bus.

        The app's spans have `name` as their service instance.
        """
        tenant = self.tenant
        nearby = "localhost,127.0.0.1"
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HTTPS_PROXY": tenant.proxy,
            "NO_PROXY": nearby,
            "SSL_CERT_FILE": tenant.ca_file,
            "REQUESTS_CA_BUNDLE": tenant.ca_file,
            "IDENTITY_ENDPOINT": tenant.identity_endpoint,
            "IDENTITY_HEADER": tenant.identity_header,
            "ServiceBusConnection": self.service_bus,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={name}",
            **self._build_access_settings(),
            "CMK_STATE_FOLDER": str(self.options.folder / "state"),
            **self.options.settings,
        }

    def _build_access_settings(self) -> dict[str, str]:
        """Return the settings for App Service sign-in, or else for the function key."""
        client_id = self.options.sign_in_client_id
        if not client_id:
            return {"CMK_FUNCTION_KEY_ROLES": "reader,operator,approver"}
        tenant_id = self.options.seed["directory"]["tenantId"]
        settings = {
            "platform": {"enabled": True},
            "globalValidation": {
                "requireAuthentication": False,
                "unauthenticatedClientAction": "AllowAnonymous",
            },
            "identityProviders": {
                "azureActiveDirectory": {
                    "registration": {
                        "openIdIssuer": f"https://login.microsoftonline.com/{tenant_id}/v2.0",
                        "clientId": client_id,
                    },
                    "validation": {"allowedAudiences": [f"api://{client_id}"]},
                }
            },
        }
        return {
            "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(settings),
            "CMK_SIGN_IN_CLIENT_ID": client_id,
            "LOCAL_SIGN_IN_PAGE": f"{self.tenant.control}/sign-in",
        }

    async def _start_service_bus(self) -> None:
        ready = await self._start_module(
            "service_bus", "local_cloud.service_bus", "--port", "0",
            "--database", str(self.options.folder / "service_bus.sqlite"),
        )  # fmt: skip
        port = ready["listening"].rpartition(":")[2]
        self.service_bus = (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )

    async def _start_module(
        self, name: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Start a module of local_cloud. Returns the JSON line that it prints when it is ready."""
        log = self.locate_log(name)
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "local_cloud.child", module, *arguments,
                cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=errors,
                stdin=asyncio.subprocess.PIPE,  # closed when we end: the child then ends too
                start_new_session=True,  # Ctrl-C reaches us; we stop it
            )  # fmt: skip
        self._running[name] = process
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_READY_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            last = (await asyncio.to_thread(log.read_text)).splitlines()[-5:]
            raise StackError("\n".join((f"{name} did not start; its log {log} ends with:", *last)))
        ready: dict[str, Any] = json.loads(line)
        return ready


async def _stop_process(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, because a seed may contain trigger URLs."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
