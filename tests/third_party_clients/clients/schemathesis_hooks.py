"""Hooks that Schemathesis runs in its own environment, without the app's packages."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out requests that never reach the app, and those that a schema cannot exclude.

    A part of the path that is empty, or several, is another address; a parameter of the query
    without a value is dropped by the host. No JSON schema can require that items have different
    names: test_declared_callers_api.py tests that the app rejects those that have the same.
    """
    parts = map(str, (case.path_parameters or {}).values())
    values = (case.query or {}).values()
    return (
        all(part.strip(".") and "/" not in part for part in parts)
        and all(value not in ("", [], None) for value in values)
        and not _has_equal_names(case.body)
    )


def _has_equal_names(body: Any) -> bool:
    callers = body.get("callers") if isinstance(body, dict) else None
    items = callers if isinstance(callers, list) else []
    names = [str(one.get("name")).strip().casefold() for one in items if isinstance(one, dict)]
    return len(names) != len(set(names))
