"""Test how the app reads the headers of a call from the run's trigger outputs.

The platform shows each output behind a signed link.
"""

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.environments.flow import Flow, Run
from local_cloud.tenant.flow_service import bodies
from local_cloud.tenant.flows import run_contents
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, start_run
from shared.domain.callers.call_headers import NOT_SHOWN, CallerSource, CallTraits
from shared.errors import ThrottledError
from tests.contract.adapter_world import Adapters, run_adapters
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

CURL = CallTraits(source=CallerSource.OTHER, user_agent="curl/8.5")
ROUTE = "triggers.show_trigger_outputs"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        made.world.tenant.clock.advance(3600)
        yield made


def call_flow(app: Adapters, *, body: bytes = b'{"order": 1}') -> Run:
    world = app.world
    start = Start(cause=RunStartKind.URL, by="", headers={"user-agent": "curl/8.5.0"}, body=body)
    return start_run(world.tenant, world.environment, find_flow(app), start)


def find_flow(app: Adapters) -> Flow:
    return app.world.environment.workflows[HTTP_FLOW]


async def read_call_traits(app: Adapters) -> list[CallTraits]:
    since = app.world.tenant.clock.now() - timedelta(minutes=1)
    reading = app.flow_reports.read_calls(ENVIRONMENT, HTTP_FLOW, since=since, limit=20)
    return [one.traits async for one in reading]


def count_output_requests(app: Adapters) -> int:
    return app.world.tenant.calls.routes[ROUTE]


def change_links(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Replace members of the links to trigger outputs. A member that is not given is removed."""
    whole = run_contents.build_outputs_link

    def build(*given: Any) -> dict[str, Any] | None:
        link = whole(*given)
        return link and {name: value(link) for name, value in changes.items()}

    monkeypatch.setattr(bodies, "build_outputs_link", build)


async def test_headers_of_a_call_are_read_by_one_request(app: Adapters) -> None:
    """The request needs no access token, because the link is signed."""
    call_flow(app)

    assert await read_call_traits(app) == [CURL]
    assert count_output_requests(app) == 1


@pytest.mark.parametrize("body", [b"x" * 300_000, json.dumps({"a": "x" * 300_000}).encode()])
async def test_long_outputs_are_not_requested(app: Adapters, body: bytes) -> None:
    call_flow(app, body=body)
    call_flow(app)

    assert await read_call_traits(app) == [NOT_SHOWN, CURL]
    assert count_output_requests(app) == 1


async def test_outputs_longer_than_the_link_says_are_not_read_to_their_end(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link's `contentSize` may be missing or no number."""
    call_flow(app, body=json.dumps({"a": "x" * 3_000_000}).encode())
    change_links(monkeypatch, uri=lambda link: link["uri"], contentSize=lambda _: "small")

    assert await read_call_traits(app) == [NOT_SHOWN]
    assert count_output_requests(app) == 1


async def test_secured_outputs_are_not_shown(app: Adapters) -> None:
    """With the trigger's setting *Secure outputs*, the platform returns no link."""
    flow = find_flow(app)
    definition = json.loads(flow.client_data)
    trigger = next(iter(definition["properties"]["definition"]["triggers"].values()))
    trigger["runtimeConfiguration"] = {"secureData": {"properties": ["outputs"]}}
    flow.save(json.dumps(definition))
    call_flow(app)

    assert await read_call_traits(app) == [NOT_SHOWN]
    assert count_output_requests(app) == 0


async def test_expired_link_is_not_shown(app: Adapters, monkeypatch: pytest.MonkeyPatch) -> None:
    call_flow(app)
    whole = run_contents.build_outputs_link

    def build(base: str, flow: Flow, run: Run, now: datetime) -> dict[str, Any] | None:
        return whole(base, flow, run, now - timedelta(hours=6))

    monkeypatch.setattr(bodies, "build_outputs_link", build)

    assert await read_call_traits(app) == [NOT_SHOWN]
    assert count_output_requests(app) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/workflows/{hex}/runs/{run}/contents/TriggerOutputs?sig=s",
        "https://logic.azure.com.evil.example/workflows/{hex}/runs/{run}/contents/TriggerOutputs",
        "https://a@evil.example/workflows/{hex}/runs/{run}/contents/TriggerOutputs",
        "http://prod-24.westeurope.logic.azure.com/workflows/{hex}/runs/{run}/contents/TriggerOutputs",
        "https://prod-24.westeurope.logic.azure.com/workflows/{hex}/runs/other/contents/TriggerOutputs",
        "https://prod-24.westeurope.logic.azure.com/workflows/{hex}/triggers/manual/paths/invoke",
        "",
    ],
)
async def test_no_link_is_followed_elsewhere(
    app: Adapters, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    """A request to another address might call a flow."""
    run = call_flow(app)
    link = uri.format(hex=find_flow(app).workflow_id, run=run.name)
    change_links(monkeypatch, uri=lambda _: link)
    before = dict(app.world.tenant.calls.routes)

    assert await read_call_traits(app) == [NOT_SHOWN]
    added = app.world.tenant.calls.routes - type(app.world.tenant.calls.routes)(before)
    assert not [route for route in added if route.startswith("triggers.")]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, {"Location": "https://evil.example/"}),
        (403, {}),
        (404, {}),
        (409, {}),
        (500, {}),
    ],
)
async def test_rejected_outputs_cost_only_their_call(
    app: Adapters, status: int, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call_flow(app)
    call_flow(app)
    app.world.tenant.faults.add(
        Fault(route=ROUTE, status=status, headers=headers, times=2 if status == 500 else 1)
    )

    assert await read_call_traits(app) == [NOT_SHOWN, CURL]
    ours = [str(vars(one)) for one in caplog.records if one.name.startswith("shared.")]
    assert not [line for line in ours if "sig=" in line or "TriggerOutputs" in line]


async def test_outputs_that_are_no_json_are_not_shown(app: Adapters) -> None:
    call_flow(app).trigger_outputs = b"\x1f\x8b\x08"
    call_flow(app).trigger_outputs = b"[" * 100_000
    call_flow(app).trigger_outputs = b'{"body": {"headers": {"User-Agent": "x/1"}}}'
    call_flow(app).trigger_outputs = b'{"headers": "User-Agent: x/1"}'

    assert await read_call_traits(app) == [NOT_SHOWN] * 4


async def test_throttled_reading_ends(app: Adapters) -> None:
    call_flow(app)
    call_flow(app)
    app.world.tenant.faults.add(Fault(route=ROUTE, status=429, skip=1, times=None))
    since = app.world.tenant.clock.now() - timedelta(minutes=1)

    calls = app.flow_reports.read_calls(ENVIRONMENT, HTTP_FLOW, since=since, limit=20)
    first = await anext(calls)

    assert first.traits == CURL
    with pytest.raises(ThrottledError):
        await anext(calls)


async def test_lost_answer_is_requested_once_more(app: Adapters) -> None:
    """The request is a GET, so it can be repeated without harm."""
    call_flow(app)
    app.world.tenant.faults.add(Fault(route=ROUTE, kind=FaultKind.DROP_AFTER))

    assert await read_call_traits(app) == [CURL]


async def test_token_of_a_call_is_never_kept(app: Adapters) -> None:
    """The trigger outputs may contain the `Authorization` header of the call."""
    flow = find_flow(app)
    definition = json.loads(flow.client_data)
    trigger = next(iter(definition["properties"]["definition"]["triggers"].values()))
    trigger["operationOptions"] = "IncludeAuthorizationHeadersInOutputs"
    flow.save(json.dumps(definition))
    headers = {"authorization": "Bearer secret-token", "user-agent": "curl/8.5.0"}
    world = app.world
    start = Start(cause=RunStartKind.URL, by="", headers=headers)
    run = start_run(world.tenant, world.environment, flow, start)

    assert b"secret-token" in (run.trigger_outputs or b"")
    assert await read_call_traits(app) == [CURL]
