"""Provide hooks that Schemathesis loads in its own environment, without the app's packages."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Return False for requests that never reach the app or that no schema can exclude.

    A path parameter that is empty or has a slash makes another address, and the host drops a query
    parameter without a value. No JSON schema can require that items have different names;
    test_declared_callers_api.py tests that the app rejects equal names.
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
