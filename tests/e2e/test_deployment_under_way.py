"""Test that this release ends remediations that an older release has started."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_cloud.demo.app_client import App
from local_cloud.stack import ROOT, Stack
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
#: A state that a remediation reaches before the next one starts, and how many of its jobs reach it.
POINTS = (
    (": updating_callers -> checking_for_calls", FLOWS // 2),
    (": planned -> copying", FLOWS // 2),
    (" -> discovering", 1),
)
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def older_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the app of the oldest commit, which names itself in its log."""
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
    with (folder / "function_app.py").open("a") as app:
        app.write("\nimport sys, shared\nprint('code:', shared.__file__, file=sys.stderr)\n")
    return folder


async def test_remediations_of_an_older_release_are_ended(
    older_release: Path, tmp_path: Path
) -> None:
    """It is killed while three remediations discover, copy, and check for calls.

    Each flow has one copy, and each caller is written once.
    """
    flows = build_flow_ids(FLOWS * len(POINTS))
    run = Run(flows=len(flows))
    async with serve_cloud(run, tmp_path) as stack, aiohttp.ClientSession() as session:
        await sign_in_service_account(stack)
        newer = replace(stack.options, settings={**stack.options.settings, **SETTINGS})
        stack.options = replace(newer, app_dir=older_release)
        await stack.start_app()
        app = App(session, lambda: stack.app)
        remediations = []
        for number, (text, times) in enumerate(POINTS):
            some = flows[number * FLOWS : (number + 1) * FLOWS]
            logged = stack.log("app").read_text().count(text)
            remediations.append(await start_remediation(app, some))
            await wait_for_log(stack, text, logged + times)
        await stack.kill_app()
        log = stack.log("app").read_text()

        stack.options = newer
        await stack.start_app()
        ended = [await wait_until_ended(app, one) for one in remediations]

        environment = await read_control(stack, session, f"environments/{ENVIRONMENT}")
        sites = [
            await read_control(stack, session, f"azure/site?id={build_site_id(number)}")
            for number in range(len(flows))
        ]
    assert f"code: {older_release}" in log
    assert "-> completed" not in log
    assert [one["flow_states"] for one in ended] == [{"retired": FLOWS}] * len(POINTS)
    assert environment["flows"] == 2 * len(flows)
    assert [site["restarts"] for site in sites] == [1] * len(flows)


async def start_remediation(app: App, flow_ids: Sequence[str] = ()) -> str:
    """Migrate these flows, or all, without an approval; return the path of the remediation."""
    settings = {"approval_policy": "automatic", "max_flows": len(flow_ids) or FLOWS}
    await app.put(f"environments/{ENVIRONMENT}", settings)
    order = {"mode": "apply", "environment_ids": [ENVIRONMENT], "flow_ids": flow_ids}
    return f"remediations/{(await app.post('remediations', order))['id']}"


async def wait_for_log(stack: Stack, text: str, times: int) -> None:
    """Wait until the app's log contains a text this often."""
    async with asyncio.timeout(60):
        while stack.log("app").read_text().count(text) < times:
            stack.check()
            await asyncio.sleep(0.02)


async def wait_until_ended(app: App, remediation: str) -> Any:
    """Return the progress when no work is left."""
    async with asyncio.timeout(120):
        while True:
            progress = (await app.get(remediation))["progress"]
            if progress["state"] in {"blocked", "completed"}:
                return progress
            await asyncio.sleep(0.2)


async def read_control(stack: Stack, session: aiohttp.ClientSession, path: str) -> Any:
    """Return what the tenant knows, which no request from outside shows."""
    async with session.get(f"{stack.tenant.control}/{path}") as answer:
        answer.raise_for_status()
        return await answer.json()
