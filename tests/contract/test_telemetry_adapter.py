import asyncio
import gzip
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from local_cloud.collector import Collector
from shared.adapters.telemetry.exporters import build_telemetry, build_telemetry_for_insights
from shared.adapters.telemetry.open_telemetry import OpenTelemetry
from shared.bootstrap import core_services
from shared.errors import JobBlocked, MustWait
from shared.ports import NoTelemetry
from shared.reason import Reason
from shared.settings import Settings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = PARENT.split("-")[1]
MALFORMED = ("", "x", "00-0-0-0", PARENT[:-3], f"00-{'0' * 32}-{'1' * 16}-01", "ä" * 55, "a" * 9999)
#: A port that nothing listens on.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def build_settings(url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    return Settings(tenant_id="fakes")


@pytest.fixture
def telemetry(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> OpenTelemetry:
    return build_telemetry(build_settings(collector.url, monkeypatch))


def test_span_continues_its_parent_and_links(
    telemetry: OpenTelemetry, collector: Collector
) -> None:
    other = f"00-{'1' * 32}-{'2' * 16}-01"
    with telemetry.span("message", is_request=True, parent=PARENT, link=other) as outer:
        with telemetry.span("step", attributes={"cmk.job": "j-1"}) as inner:
            assert telemetry.current_traceparent() == inner.traceparent
        assert outer.trace_id == TRACE
    telemetry.close()

    step, message = collector.spans
    assert (message.kind, message.trace_id, message.parent_id) == (
        "client",
        TRACE,
        PARENT.split("-")[2],
    )
    assert message.links == ("1" * 32,)
    assert (step.parent_id, step.attributes) == (message.span_id, {"cmk.job": "j-1"})
    assert telemetry.current_traceparent() == ""


@pytest.mark.parametrize("parent", MALFORMED)
def test_malformed_parent_begins_a_trace(
    parent: str, telemetry: OpenTelemetry, collector: Collector
) -> None:
    """Anyone may send a message with a malformed trace property."""
    with telemetry.span("message", parent=PARENT), telemetry.span("m", parent=parent, link=parent):
        pass
    telemetry.close()

    inner = collector.spans[0]
    assert inner.trace_id not in {TRACE, "0" * 32}
    assert (inner.parent_id, inner.links) == ("", ())


@pytest.mark.parametrize(
    ("error", "has_failed", "message"),
    [
        (MustWait("later", code=Reason.THROTTLED, until=datetime.now(UTC)), False, ""),
        (JobBlocked("sig=secret", code="x", fix="x"), True, "JobBlocked"),
        (RuntimeError("https://x/?sig=secret"), True, "RuntimeError"),
        (asyncio.CancelledError(), False, ""),
    ],
)
def test_exception_marks_a_span_without_its_text(
    error: BaseException,
    has_failed: bool,
    message: str,
    telemetry: OpenTelemetry,
    collector: Collector,
) -> None:
    """The text of an exception may contain a trigger URL."""
    with pytest.raises(type(error)), telemetry.span("step"):
        raise error
    telemetry.close()

    [span] = collector.spans
    assert (span.has_failed, span.message) == (has_failed, message)
    assert "secret" not in repr(span)


def test_metrics_are_sent(telemetry: OpenTelemetry, collector: Collector) -> None:
    for value in (1, 2):
        telemetry.count("cmk.calls", {"service": "Flow service"})
        telemetry.measure("cmk.wait.seconds", value, {})
        telemetry.report("cmk.flows", value, {"state": "copied"})
    telemetry.close()

    assert {(one.name, one.value) for one in collector.metrics} == {
        ("cmk.calls", 2),
        ("cmk.wait.seconds", 3),
        ("cmk.flows", 2),
    }


def test_metric_of_two_kinds_harms_nothing(
    telemetry: OpenTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.count("cmk.calls", {})
    for _ in range(3):
        telemetry.measure("cmk.calls", 1, {})
    telemetry.close()

    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_unreachable_collector_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of level ERROR would raise an alert."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    telemetry = build_telemetry(build_settings(NOWHERE, monkeypatch))
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with telemetry.span("step"):
                pass
            telemetry.flush()
        telemetry.close()

    ours = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert [one.getMessage().partition(" | ")[0] for one in ours] == ["telemetry not sent"]


async def test_telemetry_that_cannot_be_built_is_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "nonsense")
    async with AsyncExitStack() as closing:
        built = core_services.build_telemetry(Settings(tenant_id="fakes"), closing)

    assert isinstance(built, NoTelemetry)
    assert "telemetry is off" in caplog.text


class Ingestion(BaseHTTPRequestHandler):
    received: ClassVar[list[dict[str, Any]]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        items = json.loads(content)
        type(self).received += items
        answer = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        ...


def test_application_insights_gets_dependencies_and_metrics_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the Functions host may write rows of `requests`, which the alerts count."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setattr(Ingestion, "received", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ingestion) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        telemetry = build_telemetry_for_insights(
            "InstrumentationKey=00000000-0000-4000-8000-000000000000;"
            f"IngestionEndpoint=http://127.0.0.1:{server.server_port}/",
            None,
        )
        attributes: dict[str, str | int] = {
            "http.request.method": "GET",
            "server.address": "contoso.crm.dynamics.com",
            "server.port": 443,
            "url.scheme": "https",
            "url.template": "/api/data/v9.2/workflows({})",
            "url.full": "https://contoso.crm.dynamics.com/api/data/v9.2/workflows({})",
            "peer.service": "Dataverse",
            "http.response.status_code": 404,
        }
        with telemetry.span("process flow-jobs", parent=PARENT, attributes={"cmk.flow": "f-1"}):
            name = "GET /api/data/v9.2/workflows({})"
            with telemetry.span(name, is_request=True, attributes=attributes) as span:
                span.fail("404")
        telemetry.report("cmk.flows", 3, {"state": "copied"})
        telemetry.close()
        server.shutdown()
    rows = [(one["data"]["baseType"], one["data"]["baseData"]) for one in Ingestion.received]
    [call, message] = [data for kind, data in rows if kind == "RemoteDependencyData"]
    [metric] = [data for kind, data in rows if kind == "MetricData"]

    assert len(rows) == 3
    assert {one["tags"].get("ai.operation.id", TRACE) for one in Ingestion.received} == {TRACE}
    assert (message["name"], message["type"], message["success"]) == (
        "process flow-jobs",
        "InProc",
        True,
    )
    assert message["properties"]["cmk.flow"] == "f-1"
    assert (call["name"], call["target"], call["resultCode"], call["success"]) == (
        "GET /api/data/v9.2/workflows({})",
        "contoso.crm.dynamics.com",
        "404",
        False,
    )
    assert (call["type"], call["data"]) == ("HTTP", attributes["url.full"])
    # The exporter leaves out what it has made name, target and result of.
    assert "url.template" not in call["properties"]
    assert metric["metrics"][0]["name"] == "cmk.flows"
    assert metric["properties"]["state"] == "copied"
