"""Measure how the app's own processes migrate many flows over the wire and, for comparison, how
scripts do it.

The local cloud is that of `make demo`: the real Functions worker, queues, and a tenant behind TLS
and a proxy. Request budgets and the no-call period cause no delay, so that only the app's own work
is measured.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import aiohttp

from local_cloud.demo.app_client import App
from local_cloud.stack import ROOT, Stack, StackOptions
from tests.functional.wire.wire_scenario import WIDE, build_cache_secret_url
from tests.functional.wire.wire_seed import OPERATOR, OPERATOR_CLIENT, SUBSCRIPTION
from tests.local_cloud.tenant.tenant_world import APP_CLIENT, ENVIRONMENT, TENANT_ID
from tests.performance.many_flows import build_flow_ids, build_many_public_flows
from tests.performance.remediation_figures import count_by_service

#: What the log of the process says that comes to the end; asking the API would be work for it.
_ENDS = (b"-> completed", b"-> blocked", b"-> failed")
_LONGEST_END = max(map(len, _ENDS))
_LOOK_SECONDS = 0.05
_M365_SCRIPT = ROOT / "tests" / "third_party_clients" / "cli_microsoft365.mjs"
_QUIETLY = ("cli", "config", "set", "--key", "disableTelemetry", "--value", "true")
_LOGIN = ("login", "--authType", "deviceCode", "--appId", OPERATOR_CLIENT, "--tenant", TENANT_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    flows: int
    flows_per_app: int = 1
    #: What each call takes at the tenant.
    call_seconds: float = 0.0
    #: Processes of the app.
    processes: int = 1
    #: Flows that the script migrates at the same time.
    at_once: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a run took: time, processor time and requests."""

    flows: int
    seconds: float
    #: Of the app's processes, or of the script's; None: not counted.
    cpu_seconds: float | None
    #: Of these, what the local Functions host takes. In Azure the host is another process.
    host_cpu_seconds: float
    #: Of the local tenant, which runs on the same machine.
    tenant_cpu_seconds: float
    calls: dict[str, int]
    #: How often the apps that call the flows were written to, and so restarted.
    restarts: int


@asynccontextmanager
async def serve_cloud(run: Run, folder: Path, **more: Any) -> AsyncIterator[Stack]:
    seed = build_many_public_flows(run.flows, run.flows_per_app, **more)
    seed["assumptions"]["call_seconds"] = run.call_seconds
    async with Stack(StackOptions(folder=folder, seed=seed, settings=_build_settings())) as stack:
        yield stack


def _build_settings() -> dict[str, str]:
    return {
        "CMK_TENANT_ID": TENANT_ID,
        "CMK_SUBSCRIPTION_IDS": SUBSCRIPTION,
        "CMK_CLIENT_ID": APP_CLIENT,
        "CMK_SERVICE_ACCOUNT_CLIENT_ID": OPERATOR_CLIENT,
        "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET": build_cache_secret_url(),
        "CMK_ARCHIVE_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        # Reads of this platform do not lag, so the app need not wait.
        "CMK_NO_CALL_PERIOD": "PT0S",
        "CMK_READ_LAG": "PT0S",
        "CMK_WAIT_POLL_INTERVAL": "PT1S",
        # Else they would start remediations of their own.
        "CMK_POLICY_LINK_POLL_SCHEDULE": "0 0 0 1 1 *",
        "CMK_DAILY_CHECK_SCHEDULE": "0 0 0 1 1 *",
        "CMK_DUE_MESSAGES_SCHEDULE": "30 * * * * *",
        "CMK_DELETION_SCHEDULE": "15 */5 * * * *",
    } | {f"CMK_{name.upper()}": str(calls) for name, calls in WIDE.items()}


async def migrate_with_app(run: Run) -> Took:
    """Migrate all flows with the app, and return what it took.

    Raises `RuntimeError` if the remediation fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with serve_cloud(run, Path(folder)) as stack, aiohttp.ClientSession() as session:
            await sign_in_service_account(stack)
            names = [f"app-{number}" for number in range(run.processes)]
            for name in names:
                await stack.start_app(name)
            app = App(session, lambda: stack.app)
            await app.put(
                f"environments/{ENVIRONMENT}", {"approval_policy": "automatic", "max_flows": 10_000}
            )
            await reset_request_counts(stack, session)
            before = _Busy.measure(stack, names)
            began = time.perf_counter()
            await _remediate(stack, app, [stack.locate_log(name) for name in names])
            seconds = time.perf_counter() - began
            busy = _Busy.measure(stack, names) - before
            return await _read_cost(stack, session, run.flows, seconds, busy)


async def migrate_with_script(run: Run) -> Took:
    """Migrate all flows with the script `by_hand.py`, and return what it took."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        own = {"coOwners": {OPERATOR: "CanEdit"}}
        async with (
            serve_cloud(run, Path(folder), **own) as stack,
            aiohttp.ClientSession() as session,
        ):
            numbers = map(str, (run.flows, run.flows_per_app, run.at_once))
            before = _Busy.measure(stack)
            told = json.loads(await run_module(stack, "-m", "tests.performance.by_hand", *numbers))
            busy = replace(_Busy.measure(stack) - before, mover=told["cpu_seconds"])
            return await _read_cost(stack, session, run.flows, told["seconds"], busy)


async def read_with_cli_microsoft365(run: Run, modules: Path) -> Took:
    """List the flows and read each one with CLI for Microsoft 365, which cannot migrate flows."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        own = {"coOwners": {OPERATOR: "CanEdit"}}
        async with (
            serve_cloud(run, Path(folder), **own) as stack,
            aiohttp.ClientSession() as session,
        ):
            m365 = [str(modules / ".bin" / "m365")]
            await _execute(stack, *m365, *_QUIETLY)
            await _execute(stack, *m365, *_LOGIN)
            await reset_request_counts(stack, session)
            named = {"environmentName": ENVIRONMENT}
            listing = {**named, "sharingStatus": "sharedWithMe", "withSolutions": True}
            reads = [["flow get", {**named, "name": one}] for one in build_flow_ids(run.flows)]
            asked, told = Path(folder, "asked.json"), Path(folder, "told.json")
            commands = json.dumps([["flow list", listing], *reads])
            await asyncio.to_thread(asked.write_text, commands)
            await _execute(stack, "node", str(_M365_SCRIPT), str(modules), str(asked), str(told))
            results = json.loads(await asyncio.to_thread(told.read_text))
            if failed := [one["errors"] for one in results if one["errors"]]:
                raise RuntimeError(f"CLI for Microsoft 365: {failed[0]}")
            seconds = sum(one["seconds"] for one in results)
            return await _read_cost(stack, session, run.flows, seconds, _Busy(None, 0.0, 0.0))


async def _remediate(stack: Stack, app: App, logs: Sequence[Path]) -> None:
    """Start a remediation and wait until it is complete. Raises `RuntimeError` if it fails."""
    ordered = await app.post("remediations", {"mode": "apply", "environment_ids": [ENVIRONMENT]})
    with ExitStack() as closing:
        files = {closing.enter_context(log.open("rb")): b"" for log in logs}
        while not any(end in text for text in files.values() for end in _ENDS):
            stack.check()
            await asyncio.sleep(_LOOK_SECONDS)
            files = {file: text[-_LONGEST_END:] + file.read() for file, text in files.items()}
    progress = (await app.get(f"remediations/{ordered['id']}"))["progress"]
    if set(progress["flow_states"]) != {"retired"}:
        raise RuntimeError(f"the remediation has not ended: {progress}")


async def sign_in_service_account(stack: Stack) -> None:
    await run_module(stack, "-m", "cmkflow", "service-account", "sign-in", "--managed-identity")


async def run_module(stack: Stack, *arguments: str) -> bytes:
    """Run a Python module with the app's environment variables, and return its output.

    Raises `RuntimeError` if it fails.
    """
    return await _execute(stack, sys.executable, *arguments)


async def _execute(stack: Stack, *command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={
            **stack.build_app_environment(),
            "HOME": str(stack.options.folder),
            "NODE_EXTRA_CA_CERTS": stack.tenant.ca_file,
            "CLIMICROSOFT365_NOUPDATE": "1",
            "CI": "1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[:3]} failed: {errors.decode()[-2000:]}")
    return output


async def reset_request_counts(stack: Stack, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{stack.tenant.control}/calls/reset") as answer:
        answer.raise_for_status()


async def _read_cost(
    stack: Stack, session: aiohttp.ClientSession, flows: int, seconds: float, busy: "_Busy"
) -> Took:
    async with session.get(f"{stack.tenant.control}/calls") as answer:
        counted = await answer.json()
    return Took(
        flows=flows,
        seconds=seconds,
        cpu_seconds=busy.mover,
        host_cpu_seconds=busy.host,
        tenant_cpu_seconds=busy.tenant,
        calls=count_by_service(counted["capabilities"]),
        restarts=counted["routes"].get("resource_manager.update_application_settings", 0),
    )


@dataclass(frozen=True, slots=True)
class _Busy:
    """The processor time in seconds of the app or script, of the Functions host, and of the
    tenant.
    """

    #: The app's processes, or the script; None: not counted.
    mover: float | None
    host: float
    tenant: float

    @classmethod
    def measure(cls, stack: Stack, names: Sequence[str] = ()) -> Self:
        """Return the processor time of the processes since their start."""
        apps = [stack.process_id(name) for name in names]
        return cls(
            mover=sum(_read_cpu_seconds(f"{one}") for one in apps),
            # The app has its own thread; the first thread of the process is the host.
            host=sum(_read_cpu_seconds(f"{one}/task/{one}") for one in apps),
            tenant=_read_cpu_seconds(f"{stack.process_id('tenant')}"),
        )

    def __sub__(self, before: Self) -> Self:
        return replace(
            self,
            mover=(self.mover or 0.0) - (before.mover or 0.0),
            host=self.host - before.host,
            tenant=self.tenant - before.tenant,
        )


def _read_cpu_seconds(task: str) -> float:
    """Return the processor time of a process or thread in seconds, from /proc (Linux)."""
    after_name = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
