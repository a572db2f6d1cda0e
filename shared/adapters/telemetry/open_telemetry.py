"""Record traces and metrics with the OpenTelemetry SDK, whose threads send them in batches.

No error of the SDK ends the app's work: the recording is lost, and the first such error is logged.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import MustWait, PlatformMigrationInProgress
from shared.logs.fields import get_product_log
from shared.ports.telemetry import Attributes, NoSpan, Span

_log = get_product_log(__name__)

SERVICE_NAME = "cmk-flow-remediation"
_PROPAGATOR = TraceContextTextMapPropagator()
_LONGEST_REASON = 200
_CLOSE_MILLISECONDS = 5_000
#: They log each failed batch as an error, which would raise the alert on errors of the app.
_EXPORT_LOGGERS = ("opentelemetry", "azure.monitor.opentelemetry")


class OpenTelemetry:
    """Implements the port `Telemetry` with the OpenTelemetry SDK."""

    is_recorded = True

    def __init__(self, exporter: SpanExporter, reader: MetricReader) -> None:
        """Take ownership of `exporter` and `reader`: `close` sends the rest and closes them."""
        for name in _EXPORT_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        resource = Resource.create({"service.name": SERVICE_NAME})
        self._spans = TracerProvider(resource=resource)
        self._spans.add_span_processor(BatchSpanProcessor(_ReportingExporter(exporter)))
        # Application Insights stores no exemplars.
        self._meters = MeterProvider(
            [reader], resource=resource, exemplar_filter=AlwaysOffExemplarFilter()
        )
        self._tracer = self._spans.get_tracer(SERVICE_NAME)
        self._meter = self._meters.get_meter(SERVICE_NAME)
        self._instruments: dict[str, Any] = {}
        self._has_failed = False

    def flush(self) -> None:
        """Send the completed spans, within seconds."""
        self._call_without_errors(lambda: self._spans.force_flush(_CLOSE_MILLISECONDS))

    def close(self) -> None:
        """Send the remaining recordings, within seconds, and stop the threads."""
        self.flush()
        self._call_without_errors(self._spans.shutdown)
        self._call_without_errors(lambda: self._meters.shutdown(_CLOSE_MILLISECONDS))

    def span(
        self,
        name: str,
        *,
        is_request: bool = False,
        parent: str | None = None,
        link: str = "",
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[Span]:
        kind = trace.SpanKind.CLIENT if is_request else trace.SpanKind.INTERNAL
        opened = self._call_without_errors(
            lambda: self._start_span(name, kind, parent, link, attributes)
        )
        return (
            nullcontext(NoSpan())
            if opened is None
            else _SpanBlock(opened, self._call_without_errors)
        )

    def current_traceparent(self) -> str:
        return _build_traceparent(trace.get_current_span())

    def count(self, name: str, attributes: Attributes) -> None:
        self._call_without_errors(
            lambda: self._get_instrument(name, self._meter.create_counter).add(1, dict(attributes))
        )

    def measure(self, name: str, value: float, attributes: Attributes) -> None:
        self._call_without_errors(
            lambda: self._get_instrument(name, self._meter.create_histogram).record(
                value, dict(attributes)
            )
        )

    def report(self, name: str, value: float, attributes: Attributes) -> None:
        self._call_without_errors(
            lambda: self._get_instrument(name, self._meter.create_gauge).set(
                value, dict(attributes)
            )
        )

    def _start_span(
        self,
        name: str,
        kind: trace.SpanKind,
        parent: str | None,
        link: str,
        attributes: Attributes | None,
    ) -> trace.Span:
        context = None if parent is None else _parse_traceparent(parent)
        return self._tracer.start_span(
            name, context, kind, attributes=attributes, links=_build_links(link)
        )

    def _get_instrument(self, name: str, create: Callable[[str], Any]) -> Any:
        if name not in self._instruments:
            self._instruments[name] = create(name)
        return self._instruments[name]

    def _call_without_errors[T](self, record: Callable[[], T]) -> T | None:
        try:
            return record()
        except Exception as err:  # noqa: BLE001 -- a recording must not harm the work
            if not self._has_failed:
                self._has_failed = True
                _log.warning("telemetry not recorded", extra={"text": err})
            return None


class _SpanBlock(AbstractContextManager["_RecordedSpan"]):
    """A context manager that makes a span the current one, and ends it.

    A class is faster than the SDK's generator, which takes as long as all other work for a span.
    """

    def __init__(self, span: trace.Span, guard: Callable[[Callable[[], None]], None]) -> None:
        self._span = span
        self._call_without_errors = guard

    def __enter__(self) -> "_RecordedSpan":
        self._token = attach(trace.set_span_in_context(self._span))
        return _RecordedSpan(self._span)

    def __exit__(self, _: object, err: BaseException | None, __: object) -> None:
        detach(self._token)
        match err:
            case MustWait() | PlatformMigrationInProgress():  # nothing is wrong
                self._span.set_attribute("cmk.waits", type(err).__name__)
            case Exception():
                self._span.set_status(Status(StatusCode.ERROR, type(err).__name__))
        self._call_without_errors(self._span.end)


class _RecordedSpan:
    """Implements the port `Span` with a span of the SDK. An SDK span does not raise."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        return _build_traceparent(self._span)

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def set_attributes(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, redact(reason)[:_LONGEST_REASON]))


class _ReportingExporter(SpanExporter):
    """An exporter that logs when sending begins to fail, and not again before it succeeds."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as err:  # noqa: BLE001 -- a recording must not harm the work
            result, why = SpanExportResult.FAILURE, type(err).__name__
        else:
            why = ""
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            _log.warning("telemetry not sent", extra={"count": len(spans), "why": why})
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _parse_traceparent(text: str) -> Context:
    """Return a context whose parent is this span, or has none if the text is malformed."""
    empty = trace.set_span_in_context(NonRecordingSpan(trace.INVALID_SPAN_CONTEXT), Context())
    return _PROPAGATOR.extract({"traceparent": text}, empty)


def _build_links(traceparent: str) -> list[Link] | None:
    """Return a link to this span, or None if the text is empty or malformed."""
    if not traceparent:
        return None
    linked = trace.get_current_span(_parse_traceparent(traceparent)).get_span_context()
    return [Link(linked)] if linked.is_valid else None


def _build_traceparent(span: trace.Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    trace_id, span_id = trace.format_trace_id(context.trace_id), trace.format_span_id
    return f"00-{trace_id}-{span_id(context.span_id)}-{context.trace_flags:02x}"
