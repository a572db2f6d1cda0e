"""Write the fields of a log line into its message.

Microsoft's Python worker forwards only a record's level, message, logger name and invocation id
(`on_logging` in proxy_worker/dispatcher.py). So `ProductLog` moves `extra` to the end of the
message, as one JSON object after a marker:

    action required | {"reason_code": "both_off", "row": "flowjobs/e/j", "text": "…"}

The marker ` | {` is changed wherever else it occurs in a log text, so that a name which a person
chose can neither add a field nor change one. A query reads the fields with

    parse_json(extract(@' \\| (\\{.*\\})', 1, message))
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from shared.domain.trigger_urls.trigger_url import redact

_MARK = " | {"
#: Application Insights truncates messages at 32,768 UTF-16 units. A stack trace follows the fields,
#: so that only the stack trace is truncated.
_LONGEST_TEXT = 8_000
_LONGEST_FIELDS = 12_000
#: Maximum characters of a value, so that all fields fit.
_LONGEST_VALUES = (1_000, 200, 40)

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default={})  # noqa: B039 -- never changed


class Line(str):
    """A redacted log message, with its fields."""

    __slots__ = ()


class ProductLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that writes `extra` into the message."""

    def log(  # type: ignore[override]  # every option but `extra` is passed on
        self,
        level: int,
        msg: object,
        *args: object,
        extra: Mapping[str, object] | None = None,
        exc_info: object = None,
    ) -> None:
        """Log the message with the fields of `extra` and of `log_with`."""
        if self.isEnabledFor(level):
            own = extra or {}
            # Its own fields come first, and replace those of the context.
            line = _build_line(_format_message(msg, args), {**own, **_context.get(), **own})
            self.logger.log(level, line, exc_info=exc_info)  # type: ignore[arg-type]  # passed on


def get_product_log(name: str) -> ProductLog:
    """Return a logger that writes fields into its messages."""
    return ProductLog(logging.getLogger(name))


@contextmanager
def log_with(**fields: object) -> Iterator[None]:
    """Add these fields to the lines of the block, and of tasks that it starts."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def without_marker(text: str) -> str:
    """Return the text with every marker changed, so that no query finds fields in it."""
    return text.replace(_MARK, " |{")


def _format_message(msg: object, args: tuple[object, ...]) -> str:
    try:
        return str(msg) % args if args else str(msg)
    except (TypeError, ValueError, KeyError):
        return f"{msg} {args}"


def _build_line(text: str, fields: Mapping[str, object]) -> Line:
    safe = without_marker(redact(text))
    if len(safe) > _LONGEST_TEXT:
        safe = f"{safe[:_LONGEST_TEXT]}…"
    told = {name: value for name, value in fields.items() if value not in (None, "")}
    if not told:
        return Line(safe)
    # JSON output is ASCII on one line for any values.
    for longest in _LONGEST_VALUES:
        text_of_fields = json.dumps(
            {name: _redact_and_shorten(value, longest) for name, value in told.items()}
        )
        if len(text_of_fields) <= _LONGEST_FIELDS:
            break
    return Line(f"{safe} | {text_of_fields}")


def _redact_and_shorten(value: object, longest: int) -> object:
    if isinstance(value, bool | int | float):
        return value
    text = redact(str(value))
    return text if len(text) <= longest else f"{text[:longest]}…"
