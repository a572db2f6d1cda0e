from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait, ThrottledError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
A_DAY = 100
#: Requests a minute of two budgets: one grants reservations, the other slices of two.
SCARCE, PLENTY = 20, 80
WORK = RequestDemand(job_id="a", requests=2, priority="1")


class Instance:
    def __init__(self, calls: int, before: "Instance | None" = None) -> None:
        self.clock: ManualClock = before.clock if before else ManualClock()
        self.store: MemoryStore = before.store if before else MemoryStore()
        limit = BudgetLimit(name="flow-service", calls=calls, calls_a_day=A_DAY)
        self.budget = StoredRequestBudget(self.store, self.clock, limit)
        self.made = 0

    async def send_requests_for(self, length: timedelta) -> None:
        end = self.clock.now() + length
        while self.clock.now() < end:
            with suppress(ThrottledError, MustWait):
                async with self.budget.reserve(WORK):
                    await self.budget.take()
                    self.made += 1
            self.clock.advance(MINUTE / 2)

    async def request_until_rejected(self) -> tuple[datetime, str]:
        """Require that a request is rejected. Return the end of the wait, and the message."""
        try:
            async with self.budget.reserve(WORK):
                await self.budget.take()
        except MustWait as err:
            return err.until, str(err)
        except ThrottledError as err:
            return self.clock.now() + (err.retry_after or timedelta(0)), str(err)
        raise AssertionError("there was a call")

    async def read_remaining(self) -> int | None:
        return (await self.budget.read_queue_status()).remaining_today


@pytest.mark.parametrize("calls", [SCARCE, PLENTY])
async def test_requests_of_a_day_are_used_except_the_reserved_tenth(calls: int) -> None:
    """Slightly fewer are used, because requests become free up to an hour late."""
    here = Instance(calls)

    await here.send_requests_for(4 * DAY)

    assert 0.95 * 4 * 90 * 24 / 25 <= here.made <= 4 * 90


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (SCARCE, "Waiting for requests: flow-service has reached its daily limit."),
        (PLENTY, "The request budget of flow-service per 24 hours is exhausted"),
    ],
)
async def test_error_of_an_exhausted_day_contains_the_time_of_the_next_requests(
    calls: int, message: str
) -> None:
    here = Instance(calls)
    began = here.clock.now()
    await here.send_requests_for(HOUR)

    comes, why = await here.request_until_rejected()

    assert why == message
    assert began + DAY < comes <= began + DAY + HOUR
    here.clock.advance_to(comes)
    async with here.budget.reserve(WORK):
        await here.budget.take()


@pytest.mark.parametrize("calls", [SCARCE, PLENTY])
async def test_right_can_be_revoked_after_the_day_is_exhausted(calls: int) -> None:
    here = Instance(calls)
    await here.send_requests_for(2 * HOUR)
    assert await here.read_remaining() == 0

    async with here.budget.reserve(None):
        with pytest.raises(ThrottledError):
            await here.budget.wait_for_requests()
        await here.budget.wait_for_requests(2, is_urgent=True)
        await here.budget.take()
        await here.budget.take(is_write=True)
        with pytest.raises(ThrottledError):
            await here.budget.take()


@pytest.mark.parametrize("calls", [SCARCE, PLENTY])
async def test_reads_outside_jobs_do_not_use_the_reserved_requests(calls: int) -> None:
    """Outside of an invocation, writes count as urgent, and reads do not."""
    here = Instance(calls)
    await here.send_requests_for(2 * HOUR)

    with pytest.raises(ThrottledError):
        await here.budget.take()
    await here.budget.take(is_write=True)


async def test_unused_requests_of_a_slice_are_returned() -> None:
    here = Instance(PLENTY)

    for _ in range(40):
        await here.budget.take()
        here.clock.advance(MINUTE)

    assert await here.read_remaining() == 90 - 40 - 1


async def test_another_instance_continues_the_count_of_the_day() -> None:
    here = Instance(SCARCE)
    await here.send_requests_for(MINUTE * 10)

    assert await Instance(SCARCE, here).read_remaining() == 90 - here.made
