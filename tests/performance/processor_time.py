"""Measures in processor time, of which the least of several runs counts.

Anything else on the machine can only make a run slower.
"""

import time
from collections.abc import Callable


def least_time(action: Callable[[], object], runs: int = 5) -> float:
    """Return the processor time of the fastest run, in seconds."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)
