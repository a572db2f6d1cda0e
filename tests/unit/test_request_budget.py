from datetime import datetime, timedelta
from random import Random

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.errors import ThrottledError
from shared.ports import Operation, StoreRow
from tests.fakes.clock import ManualClock, count_most_within
from tests.fakes.memory_store import MemoryStore

MINUTE = timedelta(minutes=1)


class CountingStore(MemoryStore):
    writes = 0

    async def write(self, *operations: Operation) -> list[StoreRow]:
        self.writes += 1
        return await super().write(*operations)


def build_budgets(clock: ManualClock, calls: int, instances: int = 1) -> list[StoredRequestBudget]:
    store = MemoryStore()
    limit = BudgetLimit(name="flow-service", calls=calls, window=MINUTE)
    return [StoredRequestBudget(store, clock, limit) for _ in range(instances)]


async def take_all_requests(
    clock: ManualClock, instances: list[StoredRequestBudget], length: timedelta
) -> list[datetime]:
    random = Random(7)  # noqa: S311  # an order of instances, no secret
    made: list[datetime] = []
    end = clock.now() + length
    while clock.now() < end:
        wait = timedelta(milliseconds=20)
        try:
            await random.choice(instances).take()
        except ThrottledError as err:
            wait = min(err.retry_after or MINUTE, timedelta(seconds=1))
        else:
            made.append(clock.now())
        clock.advance(wait)
    return made


@pytest.mark.parametrize(("calls", "instances"), [(5, 1), (5, 4), (1000, 1), (1000, 3)])
async def test_requests_stay_within_the_budget_and_use_90_percent_of_it(
    calls: int, instances: int
) -> None:
    clock = ManualClock()

    made = await take_all_requests(clock, build_budgets(clock, calls, instances), 10 * MINUTE)

    assert count_most_within(made, MINUTE) <= calls
    assert len(made) >= 0.9 * calls * 10


async def test_a_large_budget_costs_few_writes() -> None:
    clock = ManualClock()
    store = CountingStore()
    budget = StoredRequestBudget(store, clock, BudgetLimit(name="arm", calls=1000, window=MINUTE))

    for _ in range(1000):
        await budget.take()

    assert store.writes == 40


async def test_slice_lasts_longer_while_most_requests_are_free() -> None:
    clock = ManualClock()
    store = CountingStore()
    budget = StoredRequestBudget(store, clock, BudgetLimit(name="arm", calls=1000, window=MINUTE))

    for _ in range(14):
        await budget.take()
        clock.advance(timedelta(seconds=4))
    assert store.writes == 1

    made = await take_all_requests(clock, [budget], 3 * MINUTE)
    assert count_most_within(made, MINUTE) <= 1000


async def test_unused_requests_of_a_slice_are_free_when_the_next_slice_is_taken() -> None:
    clock = ManualClock()
    one, other = build_budgets(clock, 80, 2)
    for _ in range(60):
        await one.take()
    await other.take()  # from a slice of two requests
    clock.advance(timedelta(seconds=5))

    assert len(await take_all_requests(clock, [other], timedelta(seconds=1))) == 19


async def test_throttled_error_contains_the_wait_until_the_next_request() -> None:
    clock = ManualClock()
    [budget] = build_budgets(clock, 1)
    await budget.take()

    with pytest.raises(ThrottledError) as caught:
        await budget.take()
    assert caught.value.retry_after is not None
    clock.advance(caught.value.retry_after)

    await budget.take()


async def test_pause_applies_to_every_instance() -> None:
    clock = ManualClock()
    first, second = build_budgets(clock, 100, 2)
    await first.take()

    await first.slow_down(timedelta(seconds=30))

    for budget in (first, second):
        with pytest.raises(ThrottledError) as caught:
            await budget.take()
        assert caught.value.retry_after == timedelta(seconds=30)
    clock.advance(timedelta(seconds=30))
    await second.take()


async def test_an_unused_slice_is_not_used_later() -> None:
    """Requests that were saved up would exceed the budget of a later minute."""
    clock = ManualClock()
    [budget] = build_budgets(clock, 1000)
    await budget.take()

    clock.advance(timedelta(seconds=50))
    made = await take_all_requests(clock, [budget], 5 * MINUTE)

    assert count_most_within(made, MINUTE) <= 1000


def test_budget_of_zero_requests_raises_value_error() -> None:
    """A budget of zero would let jobs wait forever."""
    with pytest.raises(ValueError, match="at least one"):
        StoredRequestBudget(MemoryStore(), ManualClock(), BudgetLimit(name="x", calls=0))
