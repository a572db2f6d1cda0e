"""Run as a program: prints the processor time of planning over that of decoding the same JSON.

Every flow stays, as nothing is spared then. Both are measured in turn, so that what else the
machine does disturbs both; the median of the ratios counts.

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
    definition_texts,
    services_for,
)
from tests.performance.test_planning_operations import plan

_TURNS = 15


def times_the_decoding(texts: Sequence[str]) -> float:
    """Return the time to plan an environment divided by the time to decode all its texts."""
    services = services_for(LargeWorkflows(texts, len(texts)), LargeReports(len(texts)))

    def plan_all() -> None:
        asyncio.run(plan(services))

    def decode_all() -> None:
        for text in texts:
            json.loads(text)

    plan_all()  # what a process does once is done here
    return statistics.median(_seconds(plan_all) / _seconds(decode_all) for _ in range(_TURNS))


def _seconds(action: Callable[[], None]) -> float:
    before = time.process_time()
    action()
    return time.process_time() - before


if __name__ == "__main__":
    print(f"{times_the_decoding(definition_texts()):.1f}")
