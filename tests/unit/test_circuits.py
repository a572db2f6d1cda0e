import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from shared.errors import (
    CmkflowError,
    EnvironmentDisabled,
    NotFound,
    ServiceOutage,
    ServiceUnavailable,
    ThrottledError,
)
from shared.ports import StoreRow
from shared.reason import Reason
from shared.settings import Settings
from shared.state.circuit_breakers import CircuitBreakers, read_open_circuit_breakers
from shared.state.tables import Tables
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

SECOND = timedelta(seconds=1)


class World:
    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), MemoryStore()
        self.tables = Tables(self.store)
        self.one, self.other = self.build_circuits(), self.build_circuits()
        #: The number of requests that were sent to the service.
        self.calls = 0

    def build_circuits(self) -> CircuitBreakers:
        """Return the circuit breakers of another process, which has seen no failure yet."""
        return CircuitBreakers(
            self.tables, self.clock, Settings(tenant_id="tests", circuit_breaker_threshold=5)
        )

    async def call(
        self,
        circuits: CircuitBreakers,
        error: CmkflowError | None = None,
        *,
        target: str = "a flow",
    ) -> None:
        async with circuits.guard_request("Flow service", "environment", target):
            self.calls += 1
            if error:
                raise error

    async def fail(self, circuits: CircuitBreakers, times: int, *, of_object: bool = False) -> None:
        for _ in range(times):
            self.clock.advance(SECOND)
            with pytest.raises(ServiceUnavailable):
                await self.call(circuits, ServiceUnavailable("nothing heard", of_object=of_object))


@pytest.fixture
def world() -> World:
    return World()


async def test_consecutive_requests_without_an_answer_open_the_circuit_breaker(
    world: World,
) -> None:
    await world.fail(world.one, 4)
    assert await read_open_circuit_breakers(world.tables) == []

    await world.fail(world.one, 1)
    with pytest.raises(
        ServiceOutage, match=r"Flow service \(environment\) is not available: nothing heard"
    ):
        await world.call(world.one)

    assert world.calls == 5
    (circuit,) = await read_open_circuit_breakers(world.tables)
    assert circuit.probe_at == world.clock.now() + 30 * SECOND


async def test_disabled_environment_opens_the_circuit_breaker_at_once(world: World) -> None:
    """The platform says that the environment is disabled, so one error is enough."""
    await world.fail(world.one, 2)

    with pytest.raises(ServiceOutage) as caught:
        await world.call(world.one, EnvironmentDisabled("is currently disabled"))
    with pytest.raises(ServiceOutage):
        await world.call(world.one)

    assert world.calls == 3
    assert caught.value.code is Reason.ENVIRONMENT_DISABLED
    assert "is currently disabled" in str(caught.value)
    [breaker] = await read_open_circuit_breakers(world.tables)
    assert breaker.reason_code is Reason.ENVIRONMENT_DISABLED


async def test_answer_in_between_restarts_the_count_of_failures(world: World) -> None:
    """Even an error response shows that the service works."""
    await world.fail(world.one, 4)
    with pytest.raises(NotFound):
        await world.call(world.one, NotFound("no such flow"))
    await world.fail(world.one, 4)

    await world.call(world.one)

    assert await world.tables.circuit_breakers.read_all() == []


async def test_failures_hours_apart_open_no_circuit_breaker(world: World) -> None:
    for _ in range(10):
        await world.fail(world.one, 1)
        world.clock.advance(timedelta(hours=1))

    assert await read_open_circuit_breakers(world.tables) == []


async def test_failures_with_one_object_open_no_circuit_breaker(world: World) -> None:
    """Failures of requests about one flow say nothing about the service."""
    await world.fail(world.one, 20, of_object=True)
    assert await read_open_circuit_breakers(world.tables) == []

    for target in ("another flow", "a third flow"):
        with pytest.raises(ServiceUnavailable):
            await world.call(world.one, ServiceUnavailable("500", of_object=True), target=target)

    assert len(await read_open_circuit_breakers(world.tables)) == 1


async def test_429_does_not_count_as_a_failure_or_as_a_success(world: World) -> None:
    """A throttled request shows neither that the service works nor that it fails."""
    await world.fail(world.one, 4)
    with pytest.raises(ThrottledError):
        await world.call(world.one, ThrottledError())
    await world.fail(world.one, 1)

    assert len(await read_open_circuit_breakers(world.tables)) == 1


async def test_another_instance_reads_an_open_circuit_after_its_first_failure(world: World) -> None:
    await world.fail(world.one, 5)

    with pytest.raises(ServiceOutage):
        await world.call(world.other, ServiceUnavailable("nothing heard"))
    with pytest.raises(ServiceOutage):
        await world.call(world.other)

    assert world.calls == 6


async def test_one_request_tries_a_failing_service_and_each_next_try_is_later(world: World) -> None:
    await world.fail(world.one, 5)
    with pytest.raises(ServiceOutage):
        await world.call(world.other, ServiceUnavailable("nothing heard"))
    began, tries = world.clock.now(), []
    world.calls = 0

    for _ in range(3600):
        world.clock.advance(SECOND)
        before = world.calls
        for circuits in (world.one, world.other):
            with pytest.raises(ServiceOutage):
                await world.call(circuits, ServiceUnavailable("nothing heard"))
        tries += [(world.clock.now() - began) // SECOND] * (world.calls - before)

    gaps = [late - early for early, late in pairwise(tries)]
    assert tries[0] == 30
    assert gaps[:4] == [60, 120, 240, 480]
    assert set(gaps[4:]) == {600}


@pytest.mark.parametrize(
    ("interval", "follow"), [(timedelta(minutes=20), True), (timedelta(hours=5), False)]
)
async def test_outage_lasts_until_an_answer(
    world: World, interval: timedelta, *, follow: bool
) -> None:
    """If failures are hours apart, an answer between them may have gone unnoticed."""
    circuits = world.one
    await world.fail(circuits, 5)
    [breaker] = await read_open_circuit_breakers(world.tables)

    for _ in range(12):
        world.clock.advance(interval)
        with pytest.raises(ServiceOutage) as caught:
            await world.call(circuits, ServiceUnavailable("nothing heard"))

    [later] = await read_open_circuit_breakers(world.tables)
    assert later.opened_at == breaker.opened_at
    assert caught.value.duration == (12 * interval if follow else timedelta(0))


async def test_the_first_answer_closes_the_circuit_for_all(world: World) -> None:
    await world.fail(world.one, 5)
    with pytest.raises(ServiceOutage):
        await world.call(world.other, ServiceUnavailable("nothing heard"))
    world.clock.advance(30 * SECOND)

    await world.call(world.one)
    await world.call(world.one)
    await world.call(world.other)

    assert await world.tables.circuit_breakers.read_all() == []


async def test_concurrent_requests_are_sent_after_the_circuit_breaker_has_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.fail(world.one, 5)
    world.clock.advance(30 * SECOND)
    await world.tables.circuit_breakers.clear("circuit_breaker")
    get = world.store.get

    async def slow(*name: str) -> StoreRow | None:
        await asyncio.sleep(0)
        return await get(*name)

    monkeypatch.setattr(world.store, "get", slow)

    await asyncio.gather(*[world.call(world.one) for _ in range(3)])

    assert world.calls == 8


async def test_each_environment_of_a_service_has_its_own_circuit_breaker(world: World) -> None:
    await world.fail(world.one, 5)

    async with world.one.guard_request("Flow service", "another environment", "a flow"):
        pass


async def test_unreadable_circuit_breaker_row_is_replaced(world: World) -> None:
    await world.fail(world.one, 5)
    (name,) = world.store.rows
    row = world.store.rows[name]
    world.store.rows[name] = replace(row, columns={**row.columns, "data0": "{}"})
    world.clock.advance(timedelta(minutes=1))

    await world.call(world.one)
    with pytest.raises(ServiceUnavailable, match="nothing heard"):
        await world.call(world.other, ServiceUnavailable("nothing heard"))

    assert await read_open_circuit_breakers(world.tables) == []
