"""Test the adapter of telemetry with OpenTelemetry's own exporter and a collector."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from local_cloud.collector import Collector
from shared.adapters.telemetry.exporters import build_telemetry
from shared.adapters.telemetry.open_telemetry import OpenTelemetry
from shared.bootstrap import core_services
from shared.errors import JobBlocked, MustWait
from shared.ports import NoTelemetry
from shared.reason import Reason
from shared.settings import Settings
from tests.fakes.services import fake_settings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = PARENT.split("-")[1]
MALFORMED = ("", "x", "00-0-0-0", PARENT[:-3], f"00-{'0' * 32}-{'1' * 16}-01", "ä" * 55, "a" * 9999)
#: A port that nothing listens on.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector."""
    with Collector() as collector:
        yield collector


def settings_for(url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with this collector."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    return fake_settings()


@pytest.fixture
def telemetry(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> OpenTelemetry:
    """The adapter; a test closes it, which sends all."""
    return build_telemetry(settings_for(collector.url, monkeypatch))


def test_span_continues_its_parent_and_links(
    telemetry: OpenTelemetry, collector: Collector
) -> None:
    """A span inside is its child."""
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
    """Anyone may send a message with any property."""
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
    """A text may contain a trigger URL; a job that waits has not failed."""
    with pytest.raises(type(error)), telemetry.span("step"):
        raise error
    telemetry.close()

    [span] = collector.spans
    assert (span.has_failed, span.message) == (has_failed, message)
    assert "secret" not in repr(span)


def test_metrics_are_sent(telemetry: OpenTelemetry, collector: Collector) -> None:
    """A counter adds, a distribution sums, a gauge keeps the last value."""
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
    """One line reports the first of all errors."""
    telemetry.count("cmk.calls", {})
    for _ in range(3):
        telemetry.measure("cmk.calls", 1, {})
    telemetry.close()

    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_unreachable_collector_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of level WARNING reports it; an error would raise an alert."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    telemetry = build_telemetry(settings_for(NOWHERE, monkeypatch))
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
    """A connection string may be wrong."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "nonsense")
    async with AsyncExitStack() as closing:
        built = core_services.build_telemetry(fake_settings(), closing)

    assert isinstance(built, NoTelemetry)
    assert "telemetry is off" in caplog.text
