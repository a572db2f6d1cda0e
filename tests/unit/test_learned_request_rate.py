from datetime import datetime, timedelta

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait, ThrottledError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WAIT = timedelta(seconds=40)


class Service:
    """A service that accepts `takes` requests a minute."""

    def __init__(self, takes: int | None, **limits: int) -> None:
        self.clock, self.store = ManualClock(), MemoryStore()
        self.takes, self.limits = takes, limits
        self.made: list[datetime] = []
        self.refused: list[datetime] = []
        self.budget = self.start_process(5)

    def start_process(self, calls: int) -> StoredRequestBudget:
        limit = BudgetLimit(name="flow-service", calls=calls, window=MINUTE, **self.limits)
        return StoredRequestBudget(self.store, self.clock, limit)

    async def send_requests_for(self, length: timedelta, *, is_write: bool = False) -> float:
        """Send ten requests in each invocation. Return the mean number of requests a minute in the
        last eight minutes.
        """
        end = self.clock.now() + length
        while self.clock.now() < end:
            try:
                async with self.budget.reserve(
                    RequestDemand(job_id="a", requests=10, priority="1")
                ):
                    await self._deliver(is_write=is_write)
            except (ThrottledError, MustWait) as err:
                until = err.until if isinstance(err, MustWait) else None
                self.clock.advance_to(until or self.clock.now() + MINUTE / 6)
        return sum(end - 8 * MINUTE < one <= end for one in self.made) / 8

    async def _deliver(self, *, is_write: bool) -> None:
        for _ in range(10):
            await self.budget.wait_for_requests()
            await self.budget.take(is_write=is_write)
            self.clock.advance(MINUTE / 600)
            if self.takes is not None and self.count_in_last(MINUTE) >= self.takes:
                self.refused.append(self.clock.now())
                await self.budget.slow_down(WAIT)
                raise ThrottledError(retry_after=WAIT)
            self.made.append(self.clock.now())

    def count_in_last(self, length: timedelta) -> int:
        return sum(one > self.clock.now() - length for one in self.made[-60:])


async def test_budget_rises_slowly_to_its_maximum_without_429() -> None:
    service = Service(takes=None, most=20)

    assert 4.5 <= await service.send_requests_for(HOUR / 7) <= 5
    assert 9 <= await service.send_requests_for(HOUR) <= 12
    assert 19 <= await service.send_requests_for(4 * HOUR) <= 20


async def test_fixed_budget_does_not_rise() -> None:
    assert 4.5 <= await Service(takes=None, most=5).send_requests_for(3 * HOUR) <= 5


async def test_service_at_its_limit_rejects_one_request_a_day() -> None:
    """A day after a 429, the app tries the rejected rate again."""
    service = Service(takes=5, most=20)

    await service.send_requests_for(10 * HOUR)
    service.budget = service.start_process(5)
    await service.send_requests_for(10 * HOUR)

    assert len(service.refused) == 1
    assert len(service.made) >= 0.95 * 5 * 60 * 20
    await service.send_requests_for(8 * HOUR)
    assert len(service.refused) == 2


async def test_429_halves_the_learned_rate_and_its_wait_is_obeyed() -> None:
    service = Service(takes=12, most=20)

    await service.send_requests_for(8 * HOUR)

    [refused] = service.refused
    after = [one for one in service.made if one > refused]
    assert after[0] - refused >= WAIT
    assert sum(one <= after[0] + 5 * MINUTE for one in after) <= 6 * 6
    assert 11 <= await service.send_requests_for(HOUR) <= 12


async def test_budget_falls_below_the_setting_if_the_service_accepts_less() -> None:
    service = Service(takes=3, most=20)

    assert 2.5 <= await service.send_requests_for(HOUR) <= 3
    assert len(service.refused) <= 3


async def test_changed_setting_resets_the_learned_rate() -> None:
    service = Service(takes=None, most=20)
    await service.send_requests_for(2 * HOUR)

    service.budget = service.start_process(7)

    assert 6.5 <= await service.send_requests_for(HOUR / 7) <= 7


async def test_writes_have_an_hourly_limit() -> None:
    service = Service(takes=None, most=20, writes_an_hour=100)

    await service.send_requests_for(3 * HOUR, is_write=True)

    in_an_hour = [sum(one - HOUR < other <= one for other in service.made) for one in service.made]
    assert 80 <= max(in_an_hour) <= 90


async def test_urgent_write_uses_the_reserved_tenth() -> None:
    service = Service(takes=None, most=20, writes_an_hour=20)
    async with service.budget.reserve(RequestDemand(job_id="a", requests=2, priority="1")):
        for _ in range(18):
            await service.budget.wait_for_requests()
            await service.budget.take(is_write=True)
            service.clock.advance(MINUTE / 5)
    service.clock.advance(MINUTE)

    with pytest.raises(MustWait) as caught:
        async with service.budget.reserve(RequestDemand(job_id="b", requests=2, priority="0")):
            pass
    assert caught.value.until - service.clock.now() > HOUR / 2
    async with service.budget.reserve(
        RequestDemand(job_id="b", requests=2, priority="0", is_urgent=True)
    ):
        await service.budget.wait_for_requests()
        await service.budget.take(is_write=True)


async def test_exhausted_invocation_may_only_make_urgent_writes() -> None:
    """An urgent write, such as one that revokes rights, must not wait for the next hour."""
    service = Service(takes=None, most=20, writes_an_hour=20)
    async with service.budget.reserve(RequestDemand(job_id="a", requests=2, priority="1")):
        for _ in range(18):
            await service.budget.wait_for_requests()
            await service.budget.take(is_write=True)
            service.clock.advance(MINUTE / 5)
        with pytest.raises(ThrottledError):
            await service.budget.wait_for_requests()

        await service.budget.wait_for_requests(is_urgent=True)
        await service.budget.take(is_write=True)


async def test_reads_continue_after_the_hourly_writes_are_used_up() -> None:
    service = Service(takes=None, most=5, writes_an_hour=20)

    await service.send_requests_for(HOUR)

    assert len(service.made) >= 0.95 * 5 * 60
