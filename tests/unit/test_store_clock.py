from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from random import Random
from types import SimpleNamespace

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.adapters.state.store_clock import StoreClock
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait, ThrottledError
from tests.fakes.clock import START, ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.observed_store import ObservedStore

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LIMIT = BudgetLimit(name="flow-service", calls=5)


def build_answer(date: str | None, *, is_store: bool = True) -> SimpleNamespace:
    headers = {} if date is None else {"Date": date}
    if is_store:
        headers["x-ms-request-id"] = "1"
    return SimpleNamespace(http_response=SimpleNamespace(headers=headers))


class Machine(ObservedStore):
    """A machine with a wrong clock. It estimates the store's time from the dates of responses."""

    def __init__(self, world: ManualClock, store: MemoryStore, skew: timedelta, seed: int) -> None:
        super().__init__(store)
        self.world = world
        self.local = ManualClock(world.now() + skew)
        self.begun = world.now()
        self.clock = StoreClock(self.local, self._compute_steady_seconds)
        self.random = Random(seed)  # noqa: S311  # a test

    def _compute_steady_seconds(self) -> float:
        return (self.world.now() - self.begun).total_seconds()

    def record_store_time(self) -> None:
        """Record the date of a response, which is in whole seconds and up to a second old."""
        sent = self.world.now() - self.random.random() * SECOND
        date = format_datetime(sent.replace(microsecond=0), usegmt=True)
        self.clock.note_time(build_answer(date))

    def observe(self, *_request: object) -> None:
        self.record_store_time()


@dataclass(slots=True)
class _Job:
    whose: str
    #: The number of the machine that runs this job.
    which: int
    comes: datetime | None = None
    wanted: int = 0
    round: int = 0

    @property
    def need(self) -> RequestDemand:
        """Return the demand of the next step. Jobs with fewer completed steps come first."""
        return RequestDemand(priority=f"1-{self.round:04}", job_id=self.whose, requests=3)


@pytest.mark.parametrize("skews", [(0, 0), (0, 10), (0, -10), (10, -10), (0, 60)])
async def test_machines_with_wrong_clocks_share_one_rate(skews: tuple[int, int]) -> None:
    world, store = ManualClock(), MemoryStore()
    machines = [Machine(world, store, n * MINUTE, n) for n in skews]
    budgets = [StoredRequestBudget(one, one.clock, LIMIT) for one in machines]
    got, made = Counter[int](), list[datetime]()
    jobs = [_Job(whose=f"{which}-{job}", which=which) for which in range(2) for job in range(8)]
    while world.now() < START + 60 * MINUTE:
        for job in jobs:
            clock, budget = machines[job.which].clock, budgets[job.which]
            if job.comes and job.comes > clock.now():
                continue
            job.comes = None
            try:
                async with budget.reserve(job.need):
                    job.wanted = 3
                    while job.wanted:
                        await budget.take()
                        job.wanted -= 1
                        got[job.which] += 1
                        made.append(world.now())
                    job.round += 1
            except MustWait as err:
                job.comes = err.until
            except ThrottledError as err:
                job.comes = clock.now() + (err.retry_after or SECOND)
        world.advance(SECOND)
    most = max(sum(one <= other < one + MINUTE for other in made) for one in made)

    assert most <= LIMIT.calls
    assert len(made) >= 0.96 * LIMIT.calls * 60
    assert min(got.values()) >= len(made) / 4


async def test_clocks_of_two_machines_differ_by_less_than_two_seconds() -> None:
    world, store = ManualClock(), MemoryStore()
    machines = [Machine(world, store, n * MINUTE, n) for n in (10, -10)]
    for _ in range(2_000):
        for one in machines:
            one.record_store_time()
        world.advance(SECOND * 0.7)
        times = [one.clock.now() for one in machines]
        assert all(world.now() - 2 * SECOND < time <= world.now() for time in times)


async def test_clock_uses_the_machine_time_until_the_store_answers() -> None:
    local = ManualClock()
    clock = StoreClock(local, lambda: 0.0)
    date = format_datetime(START + 60 * MINUTE, usegmt=True)
    for one in (build_answer(None), build_answer("yesterday"), build_answer(date, is_store=False)):
        clock.note_time(one)

    assert clock.now() == local.now()

    clock.note_time(build_answer(date))

    assert clock.now() == START + 60 * MINUTE


async def test_one_wrong_date_is_discarded() -> None:
    """The clock forgets a date far in the future within twenty minutes."""
    world = ManualClock()
    one = Machine(world, MemoryStore(), timedelta(0), 1)
    one.clock.note_time(build_answer(format_datetime(START + timedelta(days=1), usegmt=True)))
    for _ in range(21):
        world.advance(MINUTE)
        one.record_store_time()

    assert one.clock.now() <= world.now()


async def test_time_does_not_go_back_by_more_than_a_second() -> None:
    world = ManualClock()
    one = Machine(world, MemoryStore(), timedelta(0), 3)
    times = []
    for _ in range(3_000):
        one.record_store_time()
        times.append(one.clock.now())
        world.advance(SECOND)

    assert all(later - earlier > -SECOND for earlier, later in pairwise(times))
