import gzip
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local_cloud.collector import Collector

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(file=tmp_path / "spans.jsonl") as collector:
        yield collector


def build_request(name: str = "copy") -> bytes:
    request = ExportTraceServiceRequest()
    sender = request.resource_spans.add()
    sender.resource.attributes.add(key="service.instance.id").value.string_value = "app-1"
    span = sender.scope_spans.add().spans.add(name=name)
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    span.attributes.add(key="cmk.job").value.string_value = "j-1"
    content: bytes = request.SerializeToString()
    return content


def send(
    collector: Collector,
    body: bytes,
    headers: dict[str, str],
    path: str = "/v1/traces",
    method: str = "POST",
) -> tuple[int, bytes]:
    connection = HTTPConnection(collector.url.removeprefix("http://"))
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_received_span_is_stored_and_returned(collector: Collector, tmp_path: Path) -> None:
    zipped = PROTOBUF | {"Content-Encoding": "gzip"}

    assert send(collector, build_request("one"), PROTOBUF) == (200, b"")
    assert send(collector, gzip.compress(build_request("two")), zipped) == (200, b"")
    shown = json.loads(send(collector, b"", {}, "/spans", "GET")[1])
    lines = (tmp_path / "spans.jsonl").read_text().splitlines()

    assert [one["name"] for one in shown] == ["one", "two"]
    assert [json.loads(line) for line in lines] == shown
    assert shown[0]["trace_id"] == bytes(range(16)).hex()
    assert shown[0]["attributes"] == {"cmk.job": "j-1"}
    assert shown[0]["instance"] == "app-1"


@pytest.mark.parametrize(
    ("status", "body", "headers", "path", "method"),
    [
        (400, b"\xff\xff", PROTOBUF, "/v1/traces", "POST"),
        (400, b"no gzip", PROTOBUF | {"Content-Encoding": "gzip"}, "/v1/traces", "POST"),
        (404, build_request(), PROTOBUF, "/v1/logs", "POST"),
        (404, b"", {}, "/v1/traces", "GET"),
        (413, b"", PROTOBUF | {"Content-Length": str(1 << 30)}, "/v1/traces", "POST"),
        (415, b"{}", {"Content-Type": "application/json"}, "/v1/traces", "POST"),
        (501, build_request(), PROTOBUF, "/v1/traces", "PUT"),
    ],
)
def test_other_requests_are_rejected(
    collector: Collector, status: int, body: bytes, headers: dict[str, str], path: str, method: str
) -> None:
    assert send(collector, body, headers, path, method)[0] == status
    assert collector.spans == []
