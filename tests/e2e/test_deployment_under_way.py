"""Test that this release completes remediations that an older release has started."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_cloud.demo.app_client import App
from local_cloud.stack import ROOT, Stack
from tests.e2e.azurite import AZURITE, serve_account
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT
from tests.performance.many_flows import build_flow_ids, build_site_id
from tests.performance.over_the_wire import Run, serve_cloud, sign_in_service_account

#: The first commit that wrote rows of schema version 1 as they are now.
OLDEST = "65de9fde6d8fb8e160c23e19f86f582192f1fc93"
FLOWS = 6
#: The killed process is dead, so what it leased need not wait for as long as a frozen one could.
SETTINGS = {
    "CMK_NO_CALL_PERIOD": "PT8S",
    "CMK_JOB_LEASE_DURATION": "PT6S",
    "CMK_RESOURCE_LEASE_DURATION": "PT6S",
    "CMK_IN_FLIGHT_TIMEOUT": "PT5S",
    "CMK_OVERDUE_DELAY": "PT2S",
    "CMK_DUE_MESSAGES_SCHEDULE": "*/2 * * * * *",
}
#: A state that a remediation reaches before the next one starts, and the part of its flows
#: that have a job in it; 0: its environment job.
POINTS = (
    (": updating_callers -> checking_for_calls", 1 / 2),
    (": planned -> copying", 1 / 2),
    (" -> discovering", 0),
)
#: While the older app runs, no original is turned off, so that no remediation ends before the kill.
SLOW_STOP = {"route": "*.stop_flow", "kind": "delay", "times": None, "delay": 60}
#: Added to the app, which then writes its folder to its log.
NAMED = "\nimport sys, shared\nprint('code:', shared.__file__, file=sys.stderr)\n"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def older_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the oldest release of the app whose rows this release can read."""
    git = ("git", "-C", str(ROOT))
    known = subprocess.run((*git, "cat-file", "-e", OLDEST), check=False, capture_output=True)
    if known.returncode:
        pytest.skip(f"the clone is shallow: it does not contain commit {OLDEST}")
    folder = tmp_path_factory.mktemp("older")
    packed = subprocess.run(
        (*git, "archive", OLDEST, "shared", "functions", "function_app.py", "host.json"),
        capture_output=True,
        check=True,
    ).stdout
    subprocess.run(("tar", "-x", "-C", str(folder)), input=packed, check=True)
    return folder


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ("folder", FLOWS),
        pytest.param("account", 2, marks=pytest.mark.skipif(not AZURITE, reason="needs Azurite")),
    ],
)
async def test_remediations_of_an_older_release_are_ended(
    state: str, count: int, older_release: Path, tmp_path: Path
) -> None:
    flows = build_flow_ids(count * len(POINTS))
    run = Run(flows=len(flows))
    async with (
        serve_cloud(run, tmp_path) as stack,
        aiohttp.ClientSession() as session,
        serve_state(state, stack, tmp_path) as (code, more),
    ):
        await sign_in_service_account(stack)
        newer = replace(stack.options, settings={**stack.options.settings, **SETTINGS, **more})
        newer = replace(newer, app_dir=write_app(tmp_path / "newer", code))
        older = write_app(tmp_path / "older", code + NAMED, older_release)
        stack.options = replace(newer, app_dir=older)
        await stack.start_app()
        await change_tenant(stack, session, "POST", "faults", SLOW_STOP)
        app = App(session, lambda: stack.app)
        remediations = []
        for number, (text, part) in enumerate(POINTS):
            some = flows[number * count : (number + 1) * count]
            logged = stack.locate_log("app").read_text().count(text)
            remediations.append(await start_remediation(app, some))
            await wait_for_log(stack, text, logged + max(1, round(part * count)))
        await stack.kill_app()
        log = stack.locate_log("app").read_text()
        await change_tenant(stack, session, "DELETE", "faults")

        stack.options = newer
        await stack.start_app()
        ended = [await wait_until_ended(app, one) for one in remediations]

        environment = await read_tenant_state(stack, session, f"environments/{ENVIRONMENT}")
        sites = [
            await read_tenant_state(stack, session, f"azure/site?id={build_site_id(number)}")
            for number in range(len(flows))
        ]
    assert f"code: {older}" in log
    assert "-> completed" not in log
    assert [one["flow_states"] for one in ended] == [{"retired": count}] * len(POINTS)
    assert environment["flows"] == 2 * len(flows)
    assert [site["restarts"] for site in sites] == [1] * len(flows)


@asynccontextmanager
async def serve_state(
    state: str, stack: Stack, folder: Path
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Yield Python code to add to an app, and settings for the store that `state` names."""
    if state == "folder":
        yield "", {}
        return
    ca = await asyncio.to_thread(Path(stack.tenant.ca_file).read_bytes)
    async with serve_account(ca, folder) as (code, settings):
        yield code, {**settings, "CMK_NO_CALL_PERIOD": "PT10S"}  # Azurite answers more slowly


def write_app(folder: Path, code: str, release: Path | None = None) -> Path:
    """Return a new folder with a release of the app, to which `code` is appended."""
    if release:
        shutil.copytree(release, folder)
    else:  # the rest is found in the current folder
        folder.mkdir()
        shutil.copy(ROOT / "host.json", folder)
        shutil.copy(ROOT / "function_app.py", folder)
    with (folder / "function_app.py").open("a") as app:
        app.write(code)
    return folder


async def start_remediation(app: App, flow_ids: Sequence[str] = ()) -> str:
    """Start a remediation that needs no approval. Return its path in the API."""
    settings = {"approval_policy": "automatic", "max_flows": len(flow_ids) or FLOWS}
    await app.put(f"environments/{ENVIRONMENT}", settings)
    order = {"mode": "apply", "environment_ids": [ENVIRONMENT], "flow_ids": flow_ids}
    return f"remediations/{(await app.post('remediations', order))['id']}"


async def wait_for_log(stack: Stack, text: str, times: int) -> None:
    """Wait until the app's log contains a text this number of times."""
    async with asyncio.timeout(60):
        while stack.locate_log("app").read_text().count(text) < times:
            stack.check()
            await asyncio.sleep(0.02)


async def wait_until_ended(app: App, remediation: str) -> Any:
    """Wait until a remediation is completed or blocked, and return its progress."""
    async with asyncio.timeout(120):
        while True:
            progress = (await app.get(remediation))["progress"]
            if progress["state"] in {"blocked", "completed"}:
                return progress
            await asyncio.sleep(0.2)


async def read_tenant_state(stack: Stack, session: aiohttp.ClientSession, path: str) -> Any:
    """Return a part of the local tenant's state from its control API, which only tests use."""
    async with session.get(f"{stack.tenant.control}/{path}") as answer:
        answer.raise_for_status()
        return await answer.json()


async def change_tenant(
    stack: Stack, session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> None:
    """Change the local tenant through its control API, which only tests use."""
    url = f"{stack.tenant.control}/{path}"
    async with session.request(method, url, json=body) as answer:
        answer.raise_for_status()
