"""Parse spans and metrics in OTLP messages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

type Attributes = dict[str, str | int | float | bool]

_INSTANCE = "service.instance.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A span from an OTLP message. Ids are hexadecimal, times are seconds since 1970."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    #: Empty if the span begins its trace.
    parent_id: str
    #: Ids of the traces that it links to.
    links: tuple[str, ...]
    began: float
    ended: float
    has_failed: bool
    message: str
    attributes: Attributes
    #: The instance of the service; empty if it is not stated.
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMetric:
    """A value of a metric from an OTLP message. For a histogram, it is the sum."""

    name: str
    value: float
    attributes: Attributes


def parse_spans(content: bytes) -> list[ReceivedSpan]:
    """Parse the spans in the body of an OTLP trace request.

    Raises `DecodeError` if it is malformed.
    """
    request = ExportTraceServiceRequest.FromString(content)
    return [
        _parse_span(span, str(_parse_attributes(resource.resource.attributes).get(_INSTANCE, "")))
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def parse_metrics(content: bytes) -> list[ReceivedMetric]:
    """Parse the values in the body of an OTLP metrics request.

    Raises `DecodeError` if it is malformed.
    """
    request = ExportMetricsServiceRequest.FromString(content)
    return [
        value
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for value in _parse_values(metric)
    ]


def read_spans_file(path: Path) -> list[ReceivedSpan]:
    """Read the spans from a file that a collector has written.

    Returns an empty list if the file is missing.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    return [ReceivedSpan(**{**one, "links": tuple(one["links"])}) for one in map(json.loads, lines)]


def _parse_span(span: Span, instance: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in span.links),
        began=span.start_time_unix_nano / 1e9,
        ended=span.end_time_unix_nano / 1e9,
        has_failed=span.status.code == Status.STATUS_CODE_ERROR,
        message=span.status.message,
        attributes=_parse_attributes(span.attributes),
        instance=instance,
    )


def _parse_values(metric: Any) -> Iterator[ReceivedMetric]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        value = point.sum if kind == "histogram" else getattr(point, point.WhichOneof("value"))
        yield ReceivedMetric(
            name=metric.name, value=value, attributes=_parse_attributes(point.attributes)
        )


def _parse_attributes(pairs: Iterable[Any]) -> Attributes:
    found: Mapping[str, Any] = {one.key: one.value for one in pairs}
    return {name: getattr(value, value.WhichOneof("value")) for name, value in found.items()}
