"""Count the operations of Python code, independently of the load of the machine.

An operation is a call, a jump, or the start or resumption of a Python function. A call of C code
counts as one operation.
"""

import sys
from collections.abc import Callable

_EVENTS = sys.monitoring.events
_COUNTED = (_EVENTS.CALL, _EVENTS.JUMP, _EVENTS.PY_START, _EVENTS.PY_RESUME)
#: One of the ids that no debugger, profiler or coverage tool takes.
_TOOL_ID = 4


def count_operations(action: Callable[[], object]) -> int:
    total = 0

    def count(*_: object) -> None:
        nonlocal total
        total += 1

    sys.monitoring.use_tool_id(_TOOL_ID, "count_operations")
    try:
        for event in _COUNTED:
            sys.monitoring.register_callback(_TOOL_ID, event, count)
        sys.monitoring.set_events(_TOOL_ID, sum(_COUNTED))
        action()
    finally:
        sys.monitoring.set_events(_TOOL_ID, 0)
        sys.monitoring.free_tool_id(_TOOL_ID)
    return total
