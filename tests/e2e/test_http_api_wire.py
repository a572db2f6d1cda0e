import asyncio
import base64
import re
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_cloud.stack import Stack, StackOptions
from tests.contract.adapter_world import OPERATOR, SUBSCRIPTION, build_description
from tests.local_cloud.tenant.tenant_world import APP_CLIENT, ENVIRONMENT, HTTP_FLOW, TENANT_ID

NEVER = "0 0 0 1 1 *"
SETTINGS = {
    "CMK_TENANT_ID": TENANT_ID,
    "CMK_SUBSCRIPTION_IDS": SUBSCRIPTION,
    "CMK_CLIENT_ID": APP_CLIENT,
    "CMK_SERVICE_ACCOUNT_CLIENT_ID": OPERATOR.client_id,
    "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET": OPERATOR.cache_secret,
    "CMK_ARCHIVE_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE": "1000",
    "CMK_POLICY_LINK_POLL_SCHEDULE": NEVER,
    "CMK_DAILY_CHECK_SCHEDULE": NEVER,
    "CMK_DUE_MESSAGES_SCHEDULE": NEVER,
    "CMK_DELETION_SCHEDULE": NEVER,
}
SIGNATURE = re.compile(r"sig(=|%3D)[A-Za-z0-9_-]{20}")
pytestmark = pytest.mark.e2e


class Client:
    """A client that calls the app's API, and keeps the text of all answers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.answers = ""

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API and return the answer's JSON document.

        Fails if the status is 400 or more.
        """
        async with self._session.request(method, f"{self._url}/api/{path}", json=body) as reply:
            text = await reply.text()
            assert reply.status < 400, text
            self.answers += text
            return await reply.json()

    async def read_page(self, path: str) -> str:
        """Return a page as a browser gets it.

        Fails unless its content security policy forbids everything by default.
        """
        accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        async with self._session.get(f"{self._url}/api/{path}", headers=accept) as reply:
            text = await reply.text()
            assert reply.headers["Content-Type"].replace(" ", "") == "text/html;charset=utf-8"
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            self.answers += text
            return text

    async def wait_until_ended(self, path: str) -> Any:
        """Wait until a remediation has no next check, and return it."""
        async with asyncio.timeout(60):
            while True:
                found = await self.call("GET", path)
                if found["progress"]["next_check_at"] is None:
                    return found
                await asyncio.sleep(0.1)


async def test_dry_run_finds_flows_and_callers_and_shows_no_secret(
    tmp_path: Path,
) -> None:
    options = StackOptions(folder=tmp_path, seed=build_description(), settings=SETTINGS)
    async with Stack(options) as stack:
        app = await stack.start_app()
        headers = {"x-functions-key": app.key}
        async with aiohttp.ClientSession(headers=headers) as session:
            client = Client(session, app.url)
            listed = await client.call("GET", "environments")
            health = await client.call("GET", "health")
            order = {"mode": "dry_run", "environment_ids": [ENVIRONMENT]}
            started = await client.call("POST", "remediations", order)
            ended = await client.wait_until_ended(f"remediations/{started['id']}")
            plan = await client.call("GET", f"remediations/{started['id']}/plan")
            page = await client.read_page(f"remediations/{started['id']}/plan")

    assert ENVIRONMENT in [item["id"] for item in listed["items"]]
    assert health["poison_messages"] == 0
    assert ended["progress"]["state"] == "completed", ended
    assert ended["environment_jobs"][0]["findings"] == []
    items = {item["workflow_id"]: item for item in plan["items"][0]["items"]}
    kinds = {caller["kind"] for caller in items[HTTP_FLOW]["callers"]}
    assert kinds == {"dataverse_webhook", "environment_variable", "key_vault_secret", "flow"}
    assert plan["items"][0]["version"] in page
    assert all(item["display_name"] in unescape(page) for item in items.values())
    state = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*.db*"))
    assert len(state) > 0
    for text in (client.answers, stack.locate_log("app").read_text(), state.decode("latin-1")):
        assert not SIGNATURE.search(text)
