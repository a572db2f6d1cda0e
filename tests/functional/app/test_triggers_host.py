"""Test the app with Microsoft's worker."""

import base64
import json
from pathlib import Path

import aiohttp
import pytest

from functions.endpoints import list_endpoints
from functions.routes import UNKNOWN_PAGE
from tests.local_cloud.functions_host.functions_host_process import (
    KEY,
    ROOT,
    HostProcess,
    run_host,
)

ENDPOINTS = list_endpoints()

NEVER = "0 0 0 1 1 *"
#: Not over HTTP: queues and timers.
OTHERS = {
    "on_key_event",
    "on_policy_event",
    "run_environment_job",
    "run_flow_job",
    "poll_environments",
    "run_daily_check",
    "send_due_messages",
    "delete_originals",
    "send_notifications",
    "check_function_key",
}


def build_app_settings(folder: Path) -> dict[str, str]:
    return {
        "CMK_TENANT_ID": "tenant",
        "CMK_SUBSCRIPTION_IDS": "subscription",
        "CMK_FUNCTION_KEY_ROLES": "reader,operator",
        "CMK_STATE_FOLDER": str(folder / "state"),
        "CMK_ARCHIVE_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        "CMK_POLICY_LINK_POLL_SCHEDULE": NEVER,
        "CMK_DAILY_CHECK_SCHEDULE": NEVER,
        "CMK_DUE_MESSAGES_SCHEDULE": NEVER,
        "CMK_DELETION_SCHEDULE": NEVER,
        "IDENTITY_ENDPOINT": "http://127.0.0.1:9/token",
        "IDENTITY_HEADER": "x",
    }


async def test_worker_indexes_every_function_and_every_route_requires_sign_in(
    tmp_path: Path,
) -> None:
    async with (
        run_host(tmp_path, ROOT, **build_app_settings(tmp_path)) as host,
        aiohttp.ClientSession() as session,
    ):
        # None goes past the one place that asks who calls.
        served = {UNKNOWN_PAGE.name} | {one.name for one in ENDPOINTS.values()}
        assert set(host.ready["functions"]) == OTHERS | served
        for (method, path), declared in ENDPOINTS.items():
            url = f"{host.url}/api/{path.replace('{id}', 'a')}"
            async with session.request(method, url) as reply:
                # Without a link, this page is rejected, and its form is not valid.
                is_link = path == "declared-callers/confirmation"
                anyone = {"GET": 403, "POST": 400}[method] if is_link else 200
                assert reply.status == (401 if declared.role else anyone), (method, path)
        await _assert_put_is_stored(host, session)
        await _assert_problem_hides_key(host, session)
        assert await host.stop() == 0


async def _assert_put_is_stored(host: HostProcess, session: aiohttp.ClientSession) -> None:
    headers = {"x-functions-key": KEY}
    body = {"is_on": True, "changed_by": "duty", "justification": "a drill"}
    url = f"{host.url}/api/kill-switch"

    async with session.put(url, json=body, headers=headers) as reply:
        assert reply.status == 200
        assert (await reply.json())["changed_by"] == "duty"
    async with session.get(f"{url}?code={KEY}") as reply:
        assert (await reply.json())["is_on"] is True
        assert reply.headers["Cache-Control"] == "no-store"


async def _assert_problem_hides_key(host: HostProcess, session: aiohttp.ClientSession) -> None:
    url = f"{host.url}/api/remediations/00000000-0000-4000-8000-000000000000?code={KEY}"

    async with session.get(url) as reply:
        assert reply.status == 404
        assert reply.content_type == "application/problem+json"
        document = await reply.json(content_type=None)
    assert document["instance"] == "/api/remediations/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("name", ["host.json", "local.settings.sample.json"])
def test_host_files_are_valid_json(name: str) -> None:
    """The Functions host reads these files, and its error about invalid JSON says little."""
    assert isinstance(json.loads((ROOT / name).read_text()), dict)


def test_every_schedule_has_a_default() -> None:
    """A timer without its schedule setting keeps the whole app from starting."""
    values = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]

    source = (ROOT / "functions" / "timers.py").read_text()
    named = {part.split('%"')[0] for part in source.split('schedule="%')[1:]}
    assert len(named) == 4
    assert {name: len(values[name].split()) for name in named} == dict.fromkeys(named, 6)
