import contextlib
from collections import defaultdict
from datetime import datetime, timedelta
from random import Random

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import QueuedJob, RequestDemand
from shared.errors import MustWait, ThrottledError
from tests.fakes.clock import ManualClock, count_most_within
from tests.fakes.memory_store import MemoryStore

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CALLS = 5


class Instances:
    def __init__(self, number: int = 2) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        limit = BudgetLimit(name="flow-service", calls=CALLS, window=MINUTE)
        self.budgets = [StoredRequestBudget(self.store, self.clock, limit) for _ in range(number)]
        self.made: list[datetime] = []

    async def send_requests(
        self, budget: StoredRequestBudget, calls: int, *, apart: timedelta = SECOND / 10
    ) -> None:
        for _ in range(calls):
            await budget.wait_for_requests()
            await budget.take()
            self.made.append(self.clock.now())
            self.clock.advance(apart)

    async def find_due_time(self, budget: StoredRequestBudget, need: RequestDemand) -> datetime:
        with pytest.raises(MustWait) as caught:
            async with budget.reserve(need):
                pass
        return caught.value.until

    async def reserve_and_send(self, budget: StoredRequestBudget, need: RequestDemand) -> None:
        while True:
            try:
                async with budget.reserve(need):
                    return await self.send_requests(budget, need.requests)
            except MustWait as err:
                self.clock.advance_to(err.until)

    async def list_queued_jobs(self) -> list[str]:
        rows = [row.key async for row in self.store.query("requestbudgets", "flow-service")]
        return [key for key in rows if key != "leases"]


def build_demand(whose: str, calls: int = 3, rank: str = "1") -> RequestDemand:
    return RequestDemand(job_id=whose, requests=calls, priority=rank)


async def test_rejected_job_is_accepted_at_the_time_that_it_was_given() -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS)):
        await here.send_requests(one, CALLS)

    comes = await here.find_due_time(other, build_demand("b"))
    here.clock.advance_to(comes)

    async with other.reserve(build_demand("b")):
        await here.send_requests(other, 3)
    assert comes - here.made[0] < 1.1 * MINUTE
    assert count_most_within(here.made, MINUTE) == CALLS


async def test_job_with_the_furthest_step_is_accepted_first() -> None:
    """A job with a higher priority is accepted before one that came earlier."""
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS)):
        await here.send_requests(one, CALLS)
    new, begun = build_demand("b", rank="3"), build_demand("c", rank="1")
    await here.find_due_time(one, new)
    comes = await here.find_due_time(other, begun)

    here.clock.advance_to(comes)
    later = await here.find_due_time(one, new)
    async with other.reserve(begun):
        await here.send_requests(other, 3)

    here.clock.advance_to(later)
    async with one.reserve(new):
        await here.send_requests(one, 2)
    assert later - comes < SECOND * 10


async def test_unused_requests_of_a_step_stay_reserved_for_the_next_step_of_its_job() -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS)):
        pass

    await here.find_due_time(other, build_demand("b", rank="0"))
    async with one.reserve(build_demand("a", 2)):
        await here.send_requests(one, 2)
    here.clock.advance(SECOND * 4)
    async with other.reserve(build_demand("b", rank="0")):
        await here.send_requests(other, 3)


async def test_reservation_begins_with_fewer_requests_than_needed_and_its_reads_wait() -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a")):
        await here.send_requests(one, 3)
    begun = here.clock.now()

    async with other.reserve(build_demand("b")):
        await here.send_requests(other, 3)
        assert here.clock.now() - begun > MINUTE * 0.9

    assert count_most_within(here.made, MINUTE) == CALLS


async def test_incomplete_reservation_is_filled_before_another_job_is_accepted() -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", 4)):
        await here.send_requests(one, 4)
        here.clock.advance(MINUTE / 2)
        async with other.reserve(build_demand("b", 3)):
            await here.find_due_time(one, build_demand("c", 1, rank="0"))


async def test_wait_of_minutes_raises_throttled_error() -> None:
    here = Instances()
    [one] = Instances(1).budgets
    async with one.reserve(build_demand("a", CALLS)):
        await one.slow_down(MINUTE * 10)
        with pytest.raises(ThrottledError):
            await here.send_requests(one, 1)


@pytest.mark.parametrize("asked", [None, build_demand("b", 0)])
async def test_job_without_a_queue_place_begins_at_once_and_waits_for_its_requests(
    asked: RequestDemand | None,
) -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS - 1)):
        await here.send_requests(one, CALLS - 1)
    begun = here.clock.now()

    async with one.reserve(build_demand("c", 3)), other.reserve(asked):
        await here.find_due_time(one, build_demand("d"))
        await other.wait_for_requests(2)
        for _ in range(2):
            await other.take()
            here.made.append(here.clock.now())

    assert MINUTE * 0.9 < here.clock.now() - begun < 1.1 * MINUTE
    assert count_most_within(here.made, MINUTE) <= CALLS


async def test_queue_place_of_a_dead_job_expires() -> None:
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS)):
        await here.send_requests(one, CALLS)
    comes = await here.find_due_time(one, build_demand("dead", CALLS, rank="0"))

    here.clock.advance_to(comes)
    await here.find_due_time(other, build_demand("b"))
    here.clock.advance(MINUTE * 1.1)

    async with other.reserve(build_demand("b")):
        await here.send_requests(other, 3)


async def test_requests_reserved_by_a_dead_job_count_as_sent() -> None:
    """The dead job may have sent them."""
    here = Instances()
    one, other = here.budgets
    died = here.clock.now()
    with contextlib.suppress(GeneratorExit):
        await one.reserve(build_demand("dead", CALLS)).__aenter__()

    await here.reserve_and_send(other, build_demand("b"))

    assert MINUTE * 3 < here.made[0] - died < MINUTE * 5


@pytest.mark.parametrize("seed", range(4))
async def test_many_jobs_use_the_budget_and_never_exceed_it(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # a scenario, no secret
    here = Instances(3)
    step: dict[str, int] = defaultdict(int)
    due = {f"job-{number:02}": here.clock.now() for number in range(40)}
    most_begun = asked = 0
    while due:
        whose = min(due, key=lambda one: due[one])
        here.clock.advance_to(due[whose])
        budget, at = random.choice(here.budgets), step[whose]
        rank = f"1-{9 - at}" if at else "3"
        asked += 1
        try:
            async with budget.reserve(build_demand(whose, 3, rank)):
                await here.send_requests(budget, random.choice((0, 1, 3, 3, 4)))
        except MustWait as err:
            due[whose] = err.until
            continue
        step[whose] += 1
        due[whose] = here.clock.now() + SECOND * random.choice((0, 0, 0, 2, 20))
        if step[whose] == 4:
            del due[whose]
        most_begun = max(most_begun, sum(0 < step[one] < 4 for one in step))

    waited = here.made[-5] - here.made[0]
    assert count_most_within(here.made, MINUTE) <= CALLS
    assert len(here.made) >= 0.95 * CALLS * (waited / MINUTE)
    assert most_begun <= 2 * CALLS
    assert asked <= 20 * 40


async def compute_mean_tries_of_a_job(jobs: int) -> float:
    here, asked = Instances(), 0
    due = {f"{number:04}": here.clock.now() for number in range(jobs)}
    while due:
        whose = min(due, key=lambda one: due[one])
        here.clock.advance_to(due[whose])
        asked += 1
        new = RequestDemand(job_id=whose, requests=1, later_requests=8, priority="3")
        try:
            async with here.budgets[0].reserve(new):
                await here.send_requests(here.budgets[0], 1)
        except MustWait as err:
            due[whose] = err.until
            continue
        del due[whose]
        await here.reserve_and_send(here.budgets[1], build_demand(whose, 8))
    return asked / jobs


async def test_job_far_back_in_the_queue_asks_rarely() -> None:
    few, many = await compute_mean_tries_of_a_job(40), await compute_mean_tries_of_a_job(160)

    assert few <= 3
    assert many <= few + 1


async def fill_queue(here: Instances) -> None:
    one, other = here.budgets
    await here.reserve_and_send(one, build_demand("first", CALLS))
    for number in range(270):
        new = RequestDemand(
            job_id=f"{number:04}",
            requests=1,
            later_requests=8,
            priority="3",
            row=("flowjobs", "here", "a"),
        )
        await here.find_due_time(other, new)


async def test_jobs_whose_turn_comes_within_two_minutes_are_promoted_once() -> None:
    """The timer sends the messages in the order of the queue."""
    here, called = Instances(), list[QueuedJob]()
    await fill_queue(here)

    async def record_promotion(turn: QueuedJob) -> bool:
        called.append(turn)
        return True

    here.clock.advance(MINUTE * 5)
    await here.budgets[0].wake_up_next_jobs(record_promotion)
    first = [*called]
    await here.budgets[1].wake_up_next_jobs(record_promotion)

    assert called == first
    assert [turn.queue_position for turn in first] == [f"3-{number:04}" for number in range(5, 20)]
    assert {turn.row for turn in first} == {("flowjobs", "here", "a")}
    assert all(turn.requests_available_at <= here.clock.now() + 2 * MINUTE for turn in first)


async def test_last_job_of_a_long_queue_is_promoted_when_earlier_jobs_give_up() -> None:
    """The last job would wait for seven hours."""
    here, called = Instances(), list[str]()
    await fill_queue(here)
    last = RequestDemand(job_id="last", requests=1, later_requests=8, priority="3")
    comes = await here.find_due_time(here.budgets[0], last)

    async def record_promotion(turn: QueuedJob) -> bool:
        called.append(turn.queue_position)
        return turn.queue_position == last.queue_position

    here.clock.advance(MINUTE * 4)
    await here.budgets[0].wake_up_next_jobs(record_promotion)

    assert comes - here.made[0] > timedelta(hours=7)
    assert called[-1] == last.queue_position
    assert await here.list_queued_jobs() == [last.queue_position]
    async with here.budgets[1].reserve(last):
        pass


async def test_job_that_starts_during_its_promotion_leaves_no_queue_place() -> None:
    here = Instances()
    await fill_queue(here)
    one, other = here.budgets

    async def record_promotion(turn: QueuedJob) -> bool:
        if turn.queue_position == "3-0005":
            async with other.reserve(RequestDemand(job_id="0005", requests=1, priority="3")):
                await here.send_requests(other, 1)
        return True

    here.clock.advance(MINUTE * 5)
    await one.wake_up_next_jobs(record_promotion)

    assert (await here.list_queued_jobs())[0] == "3-0006"


async def test_job_whose_requests_are_due_within_seconds_waits_without_a_queue_place() -> None:
    """Only the next job in line waits. Others must store a place."""
    here = Instances()
    one, other = here.budgets
    async with one.reserve(build_demand("a", CALLS)):
        await here.send_requests(one, CALLS)
    here.clock.advance(MINUTE - 4 * SECOND)
    began = here.clock.now()

    async with other.reserve(build_demand("b", CALLS)):
        await here.find_due_time(one, build_demand("c"))
        await here.send_requests(other, CALLS)

    assert SECOND < here.clock.now() - began < 10 * SECOND
    assert count_most_within(here.made, MINUTE) == CALLS
