"""Redact trigger URLs in all logs, because anyone with a URL can start the flow (docs/security.md).

Records are redacted when they are created, so this includes the messages of libraries. The marker
of `fields.py` is changed in them too, except in a `Line`.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from shared.domain.trigger_urls.trigger_url import redact
from shared.logs.fields import Line, without_marker


def install_redaction() -> None:
    """Redact every record that is created from now on. Safe to repeat.

    `logging` adds `extra` to a record afterwards, so the root logger's current handlers redact it.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(make))
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, RedactExtras) for one in handler.filters):
            handler.addFilter(RedactExtras())


class RedactExtras(logging.Filter):
    """A log filter that redacts text fields added by `extra`."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in vars(record).items():
            if name not in _OWN:
                setattr(record, name, _redact_value(value))
        return True


class _RedactingFactory:
    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **options: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **options)
        if not isinstance(record.msg, Line):
            _redact_message(record)
        if record.exc_info and record.exc_info[1] is not None:
            _redact_stack(record)
        return record


def _redact_message(record: logging.LogRecord) -> None:
    # Checked after formatting, because arguments can complete a URL.
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):  # the arguments do not fit the format
        text = f"{record.msg} {record.args}"
        record.msg, record.args = text, ()
    safe = _redact_text(text)
    if safe != text:
        record.msg, record.args = safe, ()


def _redact_text(text: str) -> str:
    return without_marker(redact(text))


def _redact_stack(record: logging.LogRecord) -> None:
    assert record.exc_info
    stack = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    safe = _redact_text(stack)
    if safe != stack:
        record.exc_info, record.exc_text = None, safe


def _redact_value(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {key: _redact_value(item) for key, item in value.items()}
        case list() | tuple():
            return [_redact_value(item) for item in value]
        case _:
            return value


#: Standard attributes of records; all others come from `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
