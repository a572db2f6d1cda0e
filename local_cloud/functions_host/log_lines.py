"""One JSON object a line on stderr for every log record, with the invocation it belongs to."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from azure_functions_runtime import invocation_id_cv

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: The host's and the SDKs' own wire chatter, which the real host keeps to itself.
_QUIET = ("azure.functions", "azure.servicebus", "azure.core", "azure.identity", "aiohttp.access")


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra` fields become members of it."""

    def __init__(self, running: Mapping[str, str]) -> None:
        """Take the names of the running functions by invocation id, which the host maintains."""
        super().__init__()
        self._running = running

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Set for async functions by this host, for sync ones by the worker in its thread.
        invocation_id = invocation_id_cv.get()
        if invocation_id:
            line["invocation_id"] = invocation_id
            line["function"] = self._running.get(invocation_id)
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def start_logging(level: int, running: Mapping[str, str], stream: TextIO = sys.stderr) -> None:
    """Send every record of the root logger to the stream, one line each."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(running))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() not in ("1", "true"):
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
