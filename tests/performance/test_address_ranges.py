import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from shared.domain.network.service_tags import ServiceTagList
from tests.performance.operation_count import count_operations
from tests.performance.rule_sets import (
    REGIONS,
    SIZES,
    Answers,
    AppEvaluation,
    LibraryEvaluation,
    generate_rule_sets,
    get_prefixes_by_region,
    read_service_tag_list,
)

#: A thousand rule sets take the yardstick a minute: `python -m tests.performance.rule_sets`.
SAMPLE = 60
#: Of these, so many are counted: the yardstick takes millions of operations for each.
COUNTED = 6
#: How many times fewer operations than an answer that stops at the first prefix it lacks, and than
#: a listing: 16 and 42 with 20 prefixes, more with more.
LEAST_FOR_VERDICTS = 12.0
LEAST_FOR_LISTS = 30.0
#: Bytes that a thousand rule sets of 200 prefixes may hold at once, one after another.
MOST_MEMORY = 4_000_000


@pytest.fixture(scope="module")
def tags() -> ServiceTagList:
    tags = read_service_tag_list()
    assert len(get_prefixes_by_region(tags)) == REGIONS
    return tags


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_equals_ipaddress_with_fewer_operations(tags: ServiceTagList, size: int) -> None:
    ours, yardstick = AppEvaluation(tags), LibraryEvaluation(tags)
    sets = generate_rule_sets(tags, size, SAMPLE)

    assert answer_each(ours.find_covered, sets) == answer_each(yardstick.find_covered, sets)
    assert answer_each(ours.find_missing, sets) == answer_each(yardstick.find_missing, sets)
    few = sets[:COUNTED]
    verdicts = count_operations(lambda: answer_each(ours.find_covered, few))
    slow_verdicts = count_operations(lambda: answer_each(yardstick.find_covered, few))
    lists = count_operations(lambda: answer_each(ours.find_missing, few))
    slow_lists = count_operations(lambda: answer_each(yardstick.find_missing, few))

    assert slow_verdicts / verdicts >= LEAST_FOR_VERDICTS, slow_verdicts / verdicts
    assert slow_lists / lists >= LEAST_FOR_LISTS, slow_lists / lists


def answer_each(
    answer: Callable[[Sequence[str]], Answers], sets: Sequence[Sequence[str]]
) -> list[Answers]:
    return [answer(rules) for rules in sets]


def test_evaluation_of_1000_firewalls_needs_little_memory(tags: ServiceTagList) -> None:
    ours = AppEvaluation(tags)
    sets = generate_rule_sets(tags, max(SIZES), 1000)

    tracemalloc.start()
    for rules in sets:
        ours.find_missing(rules)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MOST_MEMORY
