from collections import Counter
from dataclasses import replace

import pytest

from tests.fakes.clock import count_most_within
from tests.performance.test_request_queue import LIMIT, MINUTE, Queue

HOUR = 60 * MINUTE
#: Without an attempt to send more.
FIXED = replace(LIMIT, calls=20, most=None)


@pytest.mark.parametrize("instances", [2, 4])
async def test_instances_share_a_budget(instances: int) -> None:
    alone, together = (Queue(400, instances=count, limit=FIXED) for count in (1, instances))

    await alone.run(HOUR)
    await together.run(HOUR)

    made = [at for times in together.requests.values() for at in times]
    counts = Counter({one: len(times) for one, times in together.requests.items()})
    mean = counts.total() / instances
    assert counts.total() >= 0.95 * sum(map(len, alone.requests.values()))
    assert len(counts) == instances
    assert all(abs(count - mean) <= 0.2 * mean for count in counts.values()), counts
    assert count_most_within(made, MINUTE) <= FIXED.calls
