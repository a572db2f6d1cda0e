import asyncio
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait, ServiceUnavailable, ThrottledError
from shared.ports import Operation, StoreRow
from tests.fakes.clock import ManualClock, count_most_within
from tests.fakes.memory_store import MemoryStore
from tests.property.examples import count_examples

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
A_DAY, RESERVE, AN_HOUR = 40, 4, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    after: timedelta
    instance: int
    #: None: outside of a delivery.
    needs: int | None
    uses: int
    is_write: bool
    is_urgent: bool
    #: It tells nobody what it has used.
    dies: bool
    #: The service refuses its last call.
    is_refused: bool


STEPS = st.builds(
    Step,
    after=st.sampled_from([SECOND / 10, SECOND, 20 * SECOND, HOUR / 60, HOUR / 3, HOUR, 7 * HOUR]),
    instance=st.integers(0, 2),
    needs=st.none() | st.integers(0, 6),
    uses=st.integers(0, 6),
    is_write=st.integers(0, 2).map(lambda one: one == 0),
    is_urgent=st.integers(0, 9).map(lambda one: one == 0),
    dies=st.integers(0, 9).map(lambda one: one == 0),
    is_refused=st.integers(0, 19).map(lambda one: one == 0),
)


class FailingStore(MemoryStore):
    is_out = False

    async def write(self, *operations: Operation) -> list[StoreRow]:
        if self.is_out:
            raise ServiceUnavailable("no answer")
        return await super().write(*operations)


class Instances:
    def __init__(self, calls: int) -> None:
        self.clock, self.store = ManualClock(), FailingStore()
        limit = BudgetLimit(
            name="flow-service", calls=calls, writes_an_hour=AN_HOUR, calls_a_day=A_DAY
        )
        self.budgets = [StoredRequestBudget(self.store, self.clock, limit) for _ in range(3)]
        self.made: list[datetime] = []
        self.writes: list[datetime] = []
        #: Requests of the last 24 hours at each read outside of an invocation.
        self.at_looks: list[int] = []

    async def play(self, steps: list[Step]) -> None:
        while steps:
            await self._act(steps.pop(0), steps)

    async def _act(self, step: Step, following: list[Step]) -> None:
        budget = self.budgets[step.instance]
        self.clock.advance(step.after)
        with suppress(ThrottledError, MustWait):
            if step.needs is None:
                await self._call(budget, step)
                if not step.is_write:
                    self.at_looks.append(sum(one > self.clock.now() - DAY for one in self.made))
                return
            rank = "0" if step.is_urgent else "1"
            whose = str(len(following))
            need = RequestDemand(
                job_id=whose, requests=step.needs, priority=rank, is_urgent=step.is_urgent
            )
            async with budget.reserve(need):
                for number in range(step.uses):
                    if number == 1 and following:  # somebody else, meanwhile
                        other = self._act(following.pop(0), following)
                        await asyncio.create_task(other, context=Context())
                    await budget.wait_for_requests(2 if number % 3 else 1)
                    await self._call(budget, step)
                if step.is_refused:
                    await budget.slow_down(SECOND * 40)
                self.store.is_out = step.dies
        self.store.is_out = False

    async def _call(self, budget: StoredRequestBudget, step: Step) -> None:
        await budget.take(is_write=step.is_write)
        moment = self.clock.now()
        self.made.append(moment)
        if step.is_write:
            self.writes.append(moment)


@settings(max_examples=count_examples(150))
@given(steps=st.lists(STEPS, min_size=40, max_size=120), calls=st.sampled_from([5, 20]))
def test_no_24_hours_have_more_requests_than_the_limit(steps: list[Step], calls: int) -> None:
    here = Instances(calls)

    asyncio.run(here.play(steps))

    assert count_most_within(here.made, DAY) <= A_DAY
    assert max(here.at_looks, default=0) <= A_DAY - RESERVE
    assert count_most_within(here.writes, HOUR) <= AN_HOUR
    assert count_most_within(here.made, HOUR / 60) <= calls


@settings(max_examples=count_examples(100))
@given(steps=st.lists(STEPS, min_size=40, max_size=120))
def test_daily_limit_holds_for_requests_in_slices(steps: list[Step]) -> None:
    """If the limit per minute is large, an instance reserves several requests at once."""
    here = Instances(200)

    asyncio.run(here.play(steps))

    assert count_most_within(here.made, DAY) <= A_DAY
