"""What it costs to hold all regions of the tag against many firewalls, beside `ipaddress`."""

import tracemalloc

import pytest

from shared.domain.network.service_tags import ServiceTagList
from tests.performance.rule_sets import (
    REGIONS,
    SIZES,
    Ours,
    Yardstick,
    listed_tags,
    measured,
    prefixes_by_region,
    rule_sets,
)

#: A thousand rule sets take the yardstick a minute: `python -m tests.performance.rule_sets`.
SAMPLE = 60
#: How many times as fast as an answer that stops at the first prefix it lacks, and as a listing.
LEAST_FOR_VERDICTS = 5.0
LEAST_FOR_LISTS = 10.0
#: Bytes that a thousand rule sets of 200 prefixes may hold at once, one after another.
MOST_MEMORY = 4_000_000


@pytest.fixture(scope="module")
def tags() -> ServiceTagList:
    """The list, with every region of the tag."""
    tags = listed_tags()
    assert len(prefixes_by_region(tags)) == REGIONS
    return tags


@pytest.mark.parametrize("size", SIZES)
def test_verdicts_and_lists_are_as_right_as_ipaddress_and_faster(
    tags: ServiceTagList, size: int
) -> None:
    """The same answers for every region and rule set, in one run."""
    ours, yardstick = Ours(tags), Yardstick(tags)
    sets = rule_sets(tags, size, SAMPLE)

    verdicts = [measured(ours.covered, sets) for _ in range(3)]
    lists = [measured(ours.missing, sets) for _ in range(3)]
    slow_verdicts, expected_verdicts = measured(yardstick.covered, sets)
    slow_lists, expected_lists = measured(yardstick.missing, sets)

    assert all(answers == expected_verdicts for _, answers in verdicts)
    assert all(answers == expected_lists for _, answers in lists)
    assert slow_verdicts / min(time for time, _ in verdicts) >= LEAST_FOR_VERDICTS
    assert slow_lists / min(time for time, _ in lists) >= LEAST_FOR_LISTS


def test_a_thousand_firewalls_take_no_more_memory_than_a_few(tags: ServiceTagList) -> None:
    """What was said of one is not kept for the next."""
    ours = Ours(tags)
    sets = rule_sets(tags, max(SIZES), 1000)

    tracemalloc.start()
    for rules in sets:
        ours.missing(rules)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MOST_MEMORY
