"""Hooks that Schemathesis runs in its own environment, without the app's packages."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out requests that never reach the app.

    A part of the path that is empty, or several, is another address; a parameter of the query
    without a value is dropped by the host.
    """
    parts = map(str, (case.path_parameters or {}).values())
    values = (case.query or {}).values()
    return all(part.strip(".") and "/" not in part for part in parts) and all(
        value not in ("", [], None) for value in values
    )
