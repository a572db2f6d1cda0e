"""A local OpenTelemetry collector, which receives spans and metrics over HTTP (OTLP)."""

from local_cloud.collector.received import ReceivedMetric, ReceivedSpan, read_spans_file
from local_cloud.collector.server import Collector

__all__ = ["Collector", "ReceivedMetric", "ReceivedSpan", "read_spans_file"]
