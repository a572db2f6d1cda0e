"""Read host.json and the app settings, with the precedence of the real host."""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any


class HostStartError(Exception):
    """This host cannot run the app or obey its settings. The text names the reason."""


_OVERRIDE = "AzureFunctionsJobHost__"
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,7})?))?")
_SETTING = re.compile(r"%([^%]+)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    #: The first segments of every HTTP route; empty for none.
    route_prefix: str
    #: Invocations at a time of each Service Bus function.
    max_concurrent_calls: int
    #: How long the lock of a message in work is renewed; None without end.
    max_lock_renewal: timedelta | None
    #: How long an invocation may run; None without end.
    function_timeout: timedelta | None
    #: The lowest level of log records that are printed.
    log_level: int


def set_app_settings(app_dir: Path, environ: MutableMapping[str, str]) -> None:
    """Add the `Values` of local.settings.json to the environment variables that are not set yet."""
    path = app_dir / "local.settings.json"
    if not path.exists():
        return
    values = _read_json(path).get("Values") or {}
    for name, value in values.items():
        if not isinstance(value, str):
            raise HostStartError(f"{path}: the value of {name} must be a string")
        environ.setdefault(name, value)


def load_host_settings(app_dir: Path, environ: Mapping[str, str]) -> HostSettings:
    """Read host.json, with the app settings `AzureFunctionsJobHost__…` that override it.

    Raises `HostStartError` for a missing or unreadable file, and for values that this host cannot
    obey.
    """
    path = app_dir / "host.json"
    document = _read_json(path)
    if document.get("version") != "2.0":
        raise HostStartError(f'{path}: "version" must be "2.0"')
    values = dict(_flatten_settings(document))
    values |= {
        name[len(_OVERRIDE) :].replace("__", ":").lower(): value
        for name, value in environ.items()
        if name.lower().startswith(_OVERRIDE.lower())
    }
    bus = "extensions:servicebus:"
    if str(values.get(bus + "autocompletemessages", "true")).lower() != "true":
        raise HostStartError(f"{path}: autoCompleteMessages must be true: the worker cannot settle")
    if int(values.get(bus + "prefetchcount", 0)) != 0:
        raise HostStartError(f"{path}: prefetchCount must be 0: this host does not prefetch")
    return HostSettings(
        route_prefix=str(values.get("extensions:http:routeprefix", "api")).strip("/"),
        # The extension's own default is 16 for each core.
        max_concurrent_calls=int(
            values.get(bus + "maxconcurrentcalls", 16 * (os.cpu_count() or 1))
        ),
        max_lock_renewal=_parse_time_span(
            values.get(bus + "maxautolockrenewalduration", "00:05:00")
        ),
        function_timeout=_parse_time_span(values.get("functiontimeout", "00:30:00")),
        log_level=_parse_log_level(values.get("logging:loglevel:default", "Information")),
    )


def resolve_settings(text: str, environ: Mapping[str, str]) -> str:
    """Replace each `%NAME%` in a text with that app setting.

    Raises `HostStartError` if a setting is missing or empty.
    """

    def read_value(match: re.Match[str]) -> str:
        value = environ.get(match[1])
        if not value:
            raise HostStartError(f"'%{match[1]}%' does not resolve to a value: set {match[1]}")
        return value

    return _SETTING.sub(read_value, text)


def is_disabled(function_name: str, environ: Mapping[str, str]) -> bool:
    names = (f"AzureWebJobs.{function_name}.Disabled", f"AzureWebJobs__{function_name}__Disabled")
    return any(environ.get(name, "").lower() in ("1", "true") for name in names)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as err:
        raise HostStartError(f"{path} is missing") from err
    except ValueError as err:
        raise HostStartError(f"{path} is not JSON: {err}") from err
    if not isinstance(document, dict):
        raise HostStartError(f"{path} must hold a JSON object")
    return document


def _flatten_settings(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path, such as `a:b:c`, and the value of each leaf.

    Paths are in lower case, because .NET ignores the case of names.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flatten_settings(inner, f"{path}:{name.lower()}" if path else name.lower())
    else:
        yield path, value


def _parse_time_span(value: object) -> timedelta | None:
    """Parse a .NET TimeSpan; return None for a negative one, which means no limit."""
    text = str(value)
    if text.startswith("-"):
        return None
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        raise HostStartError(f"host.json: {text!r} is not a duration like 00:05:00")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _parse_log_level(value: object) -> int:
    """Return Python's number for a log level of .NET."""
    try:
        return _LEVELS[str(value).lower()]
    except KeyError as err:
        raise HostStartError(f"host.json: {value!r} is not a log level") from err
