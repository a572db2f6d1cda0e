"""Serve OTLP over HTTP on the loopback address.

Like a real collector, the server accepts only protobuf, compressed or not. `GET /spans` and `GET
/metrics` return the received data as JSON.
"""

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from local_cloud.collector.received import (
    ReceivedMetric,
    ReceivedSpan,
    parse_metrics,
    parse_spans,
)

HOST = "127.0.0.1"
_PROTOBUF = "application/x-protobuf"
_LARGEST = 16 * 1024 * 1024


class Collector:
    """An OpenTelemetry collector that runs in this process while its `with` block runs."""

    def __init__(self, port: int = 0, file: Path | None = None) -> None:
        """Listen on `port`, or on a free one if it is 0.

        Each span is appended to `file` as a line of JSON.
        """
        self.spans: list[ReceivedSpan] = []
        self.metrics: list[ReceivedMetric] = []
        self._file = file
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer((HOST, port), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_until(self, is_there: Callable[[], bool], seconds: float) -> bool:
        """Wait up to `seconds` until `is_there()` is true. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(is_there, seconds)

    def store_request(self, path: str, content: bytes) -> None:
        """Store the spans or metrics of a request.

        Raises `DecodeError` if the body is malformed, and `KeyError` for an unknown path.
        """
        spans, metrics = list[ReceivedSpan](), list[ReceivedMetric]()
        match path:
            case "/v1/traces":
                spans = parse_spans(content)
            case "/v1/metrics":
                metrics = parse_metrics(content)
            case _:
                raise KeyError(path)
        with self._changed:
            self.spans += spans
            self.metrics += metrics
            if self._file and spans:
                with self._file.open("a") as file:
                    file.writelines(f"{json.dumps(asdict(span))}\n" for span in spans)
            self._changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, collector: Collector, *connection: Any) -> None:
        self._collector = collector
        super().__init__(*connection)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > _LARGEST:
            self.close_connection = True
            self._send_answer(413)
            return
        content = self.rfile.read(length)
        if self.headers.get("Content-Type") != _PROTOBUF:
            self._send_answer(415)
            return
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            self._collector.store_request(self.path, content)
        except KeyError:
            self._send_answer(404)
        except (DecodeError, OSError, EOFError, zlib.error):
            self._send_answer(400)
        else:
            # The empty message: everything was accepted.
            self._send_answer(200, b"", _PROTOBUF)

    def do_GET(self) -> None:
        kept: dict[str, Sequence[Any]] = {
            "/spans": self._collector.spans,
            "/metrics": self._collector.metrics,
        }
        if self.path not in kept:
            self._send_answer(404)
            return
        document = json.dumps([asdict(one) for one in list(kept[self.path])])
        self._send_answer(200, document.encode(), "application/json")

    def _send_answer(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        ...
