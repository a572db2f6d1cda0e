"""Run the calls of a client, and print the results as one JSON document on standard output."""

import json
import sys
from collections.abc import Callable, Iterable
from importlib import metadata


def report_all(calls: Iterable[tuple[str, Callable[[], str]]], about: str) -> None:
    results = [(name, _call_for_answer(call)) for name, call in calls]
    json.dump({"about": about, "results": results}, sys.stdout)


def join_versions(*distributions: str) -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in distributions)


def _call_for_answer(call: Callable[[], str]) -> str:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # whatever an SDK raises is reported
        status = getattr(error, "status_code", None) or getattr(error, "response_status_code", None)
        document = getattr(error, "error", None)
        code = getattr(document, "code", None) or getattr(error, "error_code", None)
        if status and code:
            return f"rejected: {status} {getattr(code, 'value', code)}"
        if status and type(error).__name__ == "APIError":
            return f"rejected: {status}"  # which this SDK reads no document of
        return f"fails: {type(error).__name__} {error}".splitlines()[0]
