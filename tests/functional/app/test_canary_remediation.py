"""Test that a whole remediation stores and shows no signature of a trigger URL."""

import io
import json
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from functions.endpoints import list_endpoints
from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.log import LogNotificationChannel
from shared.adapters.channels.teams import build_card
from shared.adapters.state.sqlite_store import SqliteStore
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.notification import Notification
from shared.queues import POISON
from shared.use_cases.notify import notify
from tests.fakes import definition_builder as define
from tests.fakes.driver import Driver
from tests.fakes.flow_service import compute_signature
from tests.functional.app.test_secrets_not_leaked import CANARY, HEX, build_planted_url
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

pytestmark = pytest.mark.usefixtures("redacting")

ENDPOINTS = list_endpoints()


class Channel:
    name = "kept"

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def send(self, notification: Notification) -> None:
        self.texts.append(json.dumps([build_cloud_event(notification), build_card(notification)]))


@pytest.fixture
async def scenario(tmp_path: Path) -> AsyncIterator[Scenario]:
    store, scenario = SqliteStore(tmp_path / "state" / "state.db"), Scenario()
    scenario.fakes = replace(scenario.fakes, ports=replace(scenario.fakes.ports, store=store))
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, use_cases=TRIGGERS)
    build = scenario.build
    build.environment.display_name = build_planted_url("environment")
    orders = build.add_http_flow(build_planted_url("title"))
    build.add_app_setting_caller(orders)
    build.add_secret_caller(orders)
    build.add_variable_caller(orders)
    build.add_flow_caller(orders, name=f"Caller {build_planted_url('caller')}")
    build.add_http_flow("Chain", {"Call": define.build_http_action(build.get_trigger_url(orders))})
    build.add_http_flow(
        "Asks others", {"Call": define.build_http_action(build_planted_url("action"))}
    )
    build.apply_key()
    await scenario.opt_in()
    scenario.world.traffic.beat(scenario.world)
    provide(scenario.services)
    yield scenario
    await store.close()


@dataclass(slots=True)
class Client:
    scenario: Scenario
    cli: CommandLine
    said: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a request and record the response. Return its JSON, or None if it is not JSON."""
        provide(self.scenario.services)
        async with (
            aiohttp.ClientSession(headers={"x-functions-key": self.cli.key} | headers) as session,
            session.request(method, f"{self.cli.url}/api/{path}", json=body) as reply,
        ):
            content = await reply.read()
            self.said.append(f"{dict(reply.headers)} {decode_texts(content)}")
            self.statuses[reply.status] += 1
            return json.loads(content) if "json" in reply.content_type else None

    async def read_everything(self) -> None:
        flows = [flow.workflow_id for flow in self.scenario.build.environment.flows.values()]
        environment, remediation = self.scenario.build.environment.id, self.scenario.remediation.id
        for (method, path), _ in sorted(ENDPOINTS.items()):
            if method != "GET":
                continue
            identity = environment if path.startswith("environments") else remediation
            for flow in flows if "{flow}" in path else [""]:
                filled = path.format(id=identity, flow=flow, name="none")
                await self.send("GET", filled)
        await self.send("GET", f"remediations/{remediation}?include_history=true")
        await self.send("GET", f"remediations/{remediation}/plan?format=html")
        for wrong in ("", build_planted_url("state")):
            await self.send("GET", f"remediations?state={quote(wrong, safe='')}")


def decode_texts(content: bytes) -> str:
    """Return the text of an answer, or the texts of all files of a zip."""
    if not content.startswith(b"PK"):
        return content.decode()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist())


def find_forbidden_texts(scenario: Scenario) -> dict[str, str]:
    """Return the signatures that must appear nowhere."""
    flows = scenario.world.flows_by_url_id.values()
    return {"canary": CANARY} | {
        f"{flow.name[:9]} {flow.state}": compute_signature(flow) for flow in flows
    }


async def test_remediation_stores_and_shows_no_signature(
    scenario: Scenario, cli: CommandLine, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    client, channel = Client(scenario, cli), Channel()
    environment = scenario.build.environment.id

    async def run_and_notify(days: float) -> None:
        await scenario.run(timedelta(days=days))
        told = replace(scenario.services, channels=(channel, LogNotificationChannel()))
        await notify(told)
        await client.read_everything()

    order = {
        "mode": "apply",
        "environment_ids": [environment],
        "started_by": build_planted_url("by"),
    }
    key = {"Idempotency-Key": build_planted_url("key")[-200:]}
    waiver = {"issue": build_planted_url("gap"), "justification": build_planted_url("waiver")}
    await client.send("POST", f"environments/{environment}/ignored-issues", waiver)
    await client.send(
        "POST", "keys/check", {"vault": build_planted_url("vault"), "key": build_planted_url("key")}
    )
    await client.send("POST", "remediations", order, **key)
    (scenario.remediation,) = await scenario.services.tables.remediations.read_all()
    remediation = f"remediations/{scenario.remediation.id}"
    await run_and_notify(0.1)
    plans = await client.send("GET", f"{remediation}/plan")
    versions = [plan["version"] for plan in plans["items"]]
    await client.send(
        "POST",
        f"{remediation}/approve",
        {"versions": versions, "approved_by": build_planted_url("approver")},
    )
    switch = {
        "is_on": True,
        "changed_by": build_planted_url("switch"),
        "justification": build_planted_url("reason"),
    }
    await client.send("PUT", "kill-switch", switch)
    await run_and_notify(0.1)
    await client.send("PUT", "kill-switch", switch | {"is_on": False})
    await run_and_notify(1)
    scenario.world.traffic.beat(scenario.world)
    await client.send("POST", f"{remediation}/run-archives")
    await run_and_notify(60)
    retired = [
        job for job in (await scenario.read_jobs()).values() if job.state is FlowJobState.RETIRED
    ]
    assert len(retired) > 1
    ids = [job.original.id for job in retired]
    on = scenario.world.clock.now() + timedelta(days=30)
    deletion = {
        "delete_at": on.isoformat(),
        "flow_ids": ids[:1],
        "approved_by": build_planted_url("deleter"),
    }
    await client.send("POST", f"{remediation}/deletions", deletion)
    await run_and_notify(1)
    await client.send(
        "POST", f"{remediation}/deletions/cancel", {"cancelled_by": build_planted_url("keeper")}
    )
    await client.send("POST", f"{remediation}/rollback", {"flow_ids": ids[1:]})
    await run_and_notify(30)

    assert client.statuses[200] > 50
    assert not client.statuses[500]
    assert channel.texts
    places = {
        "answers": "\n".join(client.said),
        "notifications": "\n".join(channel.texts),
        "log": "\n".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records),
        "state": "".join(
            path.read_bytes().decode("latin-1") for path in (tmp_path / "state").iterdir()
        ),
        "parked": str(scenario.fakes.messages.list_waiting_messages(POISON)),
        "notices": str(scenario.fakes.notices),
    }
    assert HEX in places["state"]
    assert "paths/invoke" in places["answers"] or "/workflows/" in places["answers"]
    found = [
        (place, what)
        for place, text in places.items()
        for what, secret in find_forbidden_texts(scenario).items()
        if secret in text
    ]
    assert found == []
