"""Test `cmkflow assess show` with the app on the local cloud, before and after a key is applied."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_cloud.stack import Stack, StackOptions
from tests.contract.ports.described_tenant import build_description
from tests.e2e.test_http_api_wire import SETTINGS, SIGNATURE
from tests.local_cloud.tenant.tenant_world import (
    ENVIRONMENT,
    HTTP_FLOW,
    PARENT_FLOW,
    POLICY_ID,
    TENANT_AUTH_FLOW,
)

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


async def run_cmkflow(url: str, key: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cmkflow",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "CMKFLOW_API": url, "CMKFLOW_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_assessment_before_and_after_a_key_writes_nothing(
    tmp_path: Path,
) -> None:
    options = StackOptions(folder=tmp_path, seed=build_description(), settings=SETTINGS)
    page = tmp_path / "assessment.html"
    async with Stack(options) as stack:
        app = await stack.start_app()
        arguments = ("assess", "show", "--environment", ENVIRONMENT, "--policy", "cmk-eu")
        printed = await run_cmkflow(app.url, app.key, *arguments, "-o", "json", "--html", str(page))
        async with aiohttp.ClientSession() as session:
            calls = await _read_calls(stack, session)
            await _apply_key(stack, session)
        linked = json.loads(await run_cmkflow(app.url, app.key, *arguments, "-o", "json"))["items"][
            0
        ]
        log = stack.locate_log("app").read_text()

    (found,) = json.loads(printed)["items"]
    assert found["phase"] == "before_key"
    flows = {flow["workflow_id"]: flow for flow in found["flows"]}
    assert set(flows) == {HTTP_FLOW, PARENT_FLOW, TENANT_AUTH_FLOW}
    assert flows[HTTP_FLOW]["owner"] == "Maker"
    kinds = {one["kind"] for one in flows[HTTP_FLOW]["callers"]}
    assert kinds == {
        "environment_variable",
        "key_vault_secret",
        "flow",
        "canvas_app",
        "dataverse_webhook",
        "power_pages",
    }
    levels = {
        one["code"]: one["level"] for section in found["sections"] for one in section["findings"]
    }
    assert levels["report_reconciled"] == "ok"
    assert levels["environment_geography"] == "ok"
    assert levels["auto_solution"] == "ok"
    assert levels["hosted_machine_groups"] == "warning"
    writes = ("patch_", "post_", "create_", "modify_", "start_", "stop_", "remove_", "delete_")
    assert [name for name in calls if any(word in name for word in writes)] == []
    assert linked["phase"] == "after_key"
    assert {flow["workflow_id"] for flow in linked["flows"]} == set(flows)
    assert "tart a remediation" in linked["flows"][0]["recommendations"][0]
    for text in (printed, page.read_text(), log):
        assert not SIGNATURE.search(text)


async def _apply_key(stack: Stack, session: aiohttp.ClientSession) -> None:
    """Apply the policy, and wait until the link and the platform migration are complete."""
    control = stack.tenant.control
    link = {"systemId": POLICY_ID}
    async with session.post(f"{control}/environments/{ENVIRONMENT}/link", json=link) as reply:
        assert reply.status < 300, await reply.text()
    for seconds in (20, 200):
        async with session.post(f"{control}/clock/advance", json={"seconds": seconds}) as reply:
            assert reply.status == 200


async def _read_calls(stack: Stack, session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get(f"{stack.tenant.control}/calls") as reply:
        routes: dict[str, Any] = (await reply.json())["routes"]
    return routes
