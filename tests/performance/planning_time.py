"""Print the processor time of planning, divided by that of decoding the definitions of all flows.

All flows stay on Microsoft's key, so planning has to decode every definition. Both times are
measured alternately, so that other work on the machine affects both. The result is the median
ratio.

    FLOW_CORPUS=… python -m tests.performance.planning_time
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence

from tests.performance.large_environment import (
    LargeReports,
    LargeWorkflows,
    build_services,
    read_definition_texts,
)
from tests.performance.test_planning_operations import run_to_plan

_TURNS = 15


def measure_planning_time(texts: Sequence[str]) -> float:
    """Return the time to plan an environment, divided by the time to decode its definitions."""
    services = build_services(LargeWorkflows(texts, len(texts)), LargeReports(len(texts)))

    def plan_all() -> None:
        asyncio.run(run_to_plan(services))

    def decode_all() -> None:
        for text in texts:
            json.loads(text)

    plan_all()  # the first run also does what a process does once
    return statistics.median(
        _measure_seconds(plan_all) / _measure_seconds(decode_all) for _ in range(_TURNS)
    )


def _measure_seconds(action: Callable[[], None]) -> float:
    before = time.process_time()
    action()
    return time.process_time() - before


if __name__ == "__main__":
    print(f"{measure_planning_time(read_definition_texts()):.1f}")
