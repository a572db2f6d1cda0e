"""Keeps trigger URLs out of every log: whoever has one may start the flow (docs/security.md).

Adapters keep them out of texts already. This is the last line, for what a library or a defect
might log: it works where records are made, so no handler, present or future, sees a whole URL.
It also keeps the mark of `log_fields` out of every text that the product did not build itself.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from shared.domain.trigger_urls.trigger_url import redact
from shared.log_fields import Line, without_mark


def install_redaction() -> None:
    """Redact every record made from now on; doing it again changes nothing.

    Messages, arguments and stacks are treated where a record is made, `extra` fields by a filter on
    the handlers that the root logger has now: `logging` adds them to the record later.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(make))
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, RedactExtras) for one in handler.filters):
            handler.addFilter(RedactExtras())


class RedactExtras(logging.Filter):
    """Redacts the text fields that a call added with `extra`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, redacted."""
        for name, value in vars(record).items():
            if name not in _OWN:
                setattr(record, name, _redacted(value))
        return True


class _RedactingFactory:
    """Makes records by another factory and redacts them."""

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
    """Put a safe text in place of a message that is not safe, or cannot be formatted."""
    # The finished text counts: a URL may be put together from format and arguments.
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):  # format and arguments do not fit
        text = f"{record.msg} {record.args}"
        record.msg, record.args = text, ()
    safe = _safe(text)
    if safe != text:
        record.msg, record.args = safe, ()


def _safe(text: str) -> str:
    return without_mark(redact(text))


def _redact_stack(record: logging.LogRecord) -> None:
    """Put text in place of an exception that is not safe: handlers print or send either."""
    assert record.exc_info
    stack = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    safe = _safe(stack)
    if safe != stack:
        record.exc_info, record.exc_text = None, safe


def _redacted(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {key: _redacted(item) for key, item in value.items()}
        case list() | tuple():
            return [_redacted(item) for item in value]
        case _:
            return value


#: What every record has; the rest is `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
