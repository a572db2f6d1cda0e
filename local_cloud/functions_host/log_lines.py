"""Write log records to stderr as lines of JSON, with the members that a log has in Azure."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from azure_functions_runtime import invocation_id_cv

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: The host's and the SDKs' own wire chatter, which the real host keeps to itself.
_QUIET = ("azure.functions", "azure.servicebus", "azure.core", "azure.identity", "aiohttp.access")
#: Logger of this host, and the loggers whose lines Microsoft's worker marks as its own.
_HOST = "host"
_SYSTEM = ("proxy_worker", "azure.functions", "azure_functions_runtime")
#: Levels of the worker's RpcLog; one in between is sent as the next lower one.
_LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


class JsonLines(logging.Formatter):
    """Formats a log record as one JSON object.

    The line of an app's record has what Microsoft's worker sends to the host, so it has no `extra`.
    In the host's own records, each `extra` is a member.
    """

    def __init__(self, running: Mapping[str, str]) -> None:
        """Create the formatter. `running` contains the running functions by invocation id."""
        super().__init__()
        self._running = running

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        is_own = record.name.split(".")[0] == _HOST
        line = self._build_own_fields(record) if is_own else self._build_forwarded_fields(record)
        return json.dumps({"time": time, **line}, default=str, ensure_ascii=False)

    def _build_own_fields(self, record: logging.LogRecord) -> dict[str, object]:
        line: dict[str, object] = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return line

    def _build_forwarded_fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the fields that the worker sends for a record, and the running function.

        The real host drops a line of the app outside a running invocation (`Log` in
        GrpcWorkerChannel.cs) and shows the customer no line of the worker. Both get the member
        `dropped` here.
        """
        level = next((level for level in _LEVELS if record.levelno >= level), logging.NOTSET)
        line: dict[str, object] = {
            "level": logging.getLevelName(level),
            "logger": record.name,
            # As the worker's handler has no formatter of its own, a stack is part of the message.
            "message": super().format(record),
        }
        # Set for async functions by this host, for sync ones by the worker in its thread.
        invocation_id = invocation_id_cv.get()
        if invocation_id:
            line["invocation_id"] = invocation_id
        function = self._running.get(invocation_id or "")
        if function:
            line["function"] = function
        if not function or record.name.startswith(_SYSTEM):
            line["dropped"] = True
        return line


def start_logging(level: int, running: Mapping[str, str]) -> None:
    """Make the root logger write to stderr: one JSON line for each record of `level` or above.

    The loggers of the host's libraries write only warnings and errors, unless
    PYTHON_ENABLE_DEBUG_LOGGING is `1` or `true`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(running))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() not in ("1", "true"):
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
