"""A collector for OpenTelemetry on one machine: it receives OTLP over HTTP and keeps it."""

from local_cloud.collector.received import ReceivedMetric, ReceivedSpan, read_spans_file
from local_cloud.collector.server import Collector

__all__ = ["Collector", "ReceivedMetric", "ReceivedSpan", "read_spans_file"]
