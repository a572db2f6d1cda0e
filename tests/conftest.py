"""Configure all tests. Property tests have no time limit, which a busy machine would exceed."""

import gc
import os
from itertools import islice

import pytest
from hypothesis import HealthCheck, settings

from tests.property.examples import count_examples

settings.register_profile(
    "any-machine",
    deadline=None,
    max_examples=count_examples(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any-machine")

#: Marks of what takes longest, and mostly waits for processes or disks.
_LONG = ("e2e", "corpus")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process begin with its share of the long tests, so that none of them runs last.

    With `--dist worksteal`, pytest-xdist first gives every process the same number of tests in this
    order. A process that is done takes some from another one.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [one for one in items if any(map(one.get_closest_marker, _LONG))]
    others = iter([one for one in items if one not in long])
    count = len(items)
    items.clear()
    for number in range(processes):
        # As xdist shares them out: what is left, by the processes that are left.
        share = (count - len(items)) // (processes - number)
        mine = long[number::processes]
        items += [*mine, *islice(others, share - len(mine))]


def pytest_collection_finish() -> None:
    """Keep the garbage collector from walking ten thousand collected tests again and again."""
    gc.collect()
    gc.freeze()
