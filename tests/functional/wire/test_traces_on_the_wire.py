import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import azure.functions as func
import pytest

from functions import remediations_api, timers
from local_cloud.collector import Collector, ReceivedSpan
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import QueueMessage
from shared.queues import KEY_EVENTS
from tests.fakes.runtime import OneFunctionKey
from tests.functional.planning.test_key_events import build_key_event
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.wire.wire_scenario import SHORT, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, VAULT_ID

#: The trace header of a client of the app, or of a service before the app.
SENDER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Yield a trace collector at the address in the app's settings."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


class Tick(func.TimerRequest):
    @property
    def past_due(self) -> bool:
        return False


async def send_key_event(scenario: WireScenario, **properties: str) -> None:
    event = build_key_event() | {"topic": VAULT_ID}
    message = QueueMessage(
        queue=KEY_EVENTS, message_id="event-1", body=event, properties=properties
    )
    await scenario.messages.send(message)


def find_ancestors(span: ReceivedSpan, spans: list[ReceivedSpan]) -> list[str]:
    """Return the names of a span's ancestors, the nearest first."""
    by_id = {one.span_id: one for one in spans}
    names = []
    while (span_or_none := by_id.get(span.parent_id)) is not None:
        span = span_or_none
        names.append(span.name)
    return names


async def test_one_trace_contains_a_key_event_its_jobs_and_each_request(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    collector: Collector,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    tenant = build_tenant_seed(build_orders_seed())
    async with serve_wire_scenario(monkeypatch, tmp_path, tenant) as scenario:
        scenario.use_cases = TRIGGERS
        await send_key_event(scenario, traceparent=SENDER)
        await scenario.run(SHORT)
        job = await scenario.read_job()
        signature = scenario.find_flow().compute_signature()
    spans = [one for one in collector.spans if one.trace_id == SENDER.split("-")[1]]

    assert job.step is FlowJobState.CHECKING_FOR_CALLS
    [create] = [one for one in spans if one.name.startswith("PATCH /api/data/v9.2/workflows")][:1]
    assert find_ancestors(create, spans) == [
        "step copying",
        "flow job planned",
        "process flow-jobs",
        "environment job running_flow_jobs",
        "process environment-jobs",
        "process key-events",
    ]
    [copied] = [text for text in caplog.messages if "copying -> copied" in text]
    ids = {"trace": create.trace_id, "remediation": job.remediation_id, "job": job.id}
    assert ids.items() <= json.loads(copied.partition(" | ")[2]).items()
    assert create.attributes["http.response.status_code"] == 204
    assert signature not in repr(collector.spans)
    secret = {"GET /secrets/{}", "GET /keys/{}/{}"}  # a key's name and its version
    assert {one.name for one in spans if "{}/{}" in one.name} <= secret


async def test_request_to_the_api_continues_the_trace_of_its_sender(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, collector: Collector
) -> None:
    monkeypatch.setenv("CMK_FUNCTION_KEY_ROLES", "operator")
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed()) as scenario:
        scenario.use_cases = TRIGGERS
        provide(replace(scenario.services, function_keys=OneFunctionKey()))
        body = {"mode": "assess", "environment_ids": [ENVIRONMENT], "started_by": "tests"}
        for number, parent in enumerate((SENDER, "00-malformed", "")):
            headers = {"traceparent": parent, "Idempotency-Key": f"key-{number}"}
            started = await call(remediations_api.start_remediation, body, headers=headers)
            assert started.status == 202, started.text
        await scenario.run(SHORT)
    [request, *others] = [one for one in collector.spans if one.name == "POST /api/remediations"]
    inside = {one.name for one in collector.spans if one.parent_id == request.span_id}

    assert (request.trace_id, request.parent_id) == tuple(SENDER.split("-")[1:3])
    assert "process environment-jobs" in inside
    assert [one.parent_id for one in others] == ["", ""]
    assert len({one.trace_id for one in (request, *others)}) == 3


async def test_requests_of_a_timer_are_in_one_trace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, collector: Collector
) -> None:
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed()) as scenario:
        provide(scenario.services)
        await timers.poll_environments(Tick())
    [timer] = [one for one in collector.spans if one.name == "timer poll_environments"]

    inside = {one.name for one in collector.spans if one.parent_id == timer.span_id}
    assert "GET /providers/Microsoft.BusinessAppPlatform/scopes/admin/environments" in inside
