"""Define hooks that Schemathesis loads in its own environment, without the app's packages."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Return False for a request that never reaches the app, or that the app rejects for a reason
    no JSON schema can express.

    A path parameter that is empty or contains a slash makes another address. The host drops a query
    parameter without a value. No schema can require different names of items:
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
