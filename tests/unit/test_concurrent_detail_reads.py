import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from azure.core.rest import HttpRequest

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.client import HttpClient, HttpService
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.concurrency import MOST_CONCURRENT
from shared.domain.clouds import PUBLIC
from shared.firewalls.app_service import AppServices
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.kinds.firewalls.app_service import build_restriction, build_site, build_web_config
from tests.unit.adapter_wire import (
    Scripted,
    ScriptedResponse,
    ScriptedTransport,
)

MINUTE = timedelta(minutes=1)
APPS = 100
GONE = "app-7"


class AzureTransport(ScriptedTransport):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.made: list[datetime] = []
        self.under_way = 0
        self.most_at_once = 0

    async def send(self, request: HttpRequest, **_: Any) -> Any:
        self.made.append(self._clock.now())
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return ScriptedResponse(request, self._answer(request.url))

    def _answer(self, url: str) -> Scripted:
        if "/config/web" not in url:
            return Scripted(body={"value": [build_site(f"app-{number}") for number in range(APPS)]})
        if f"/{GONE}/" in url:
            return Scripted(status=404, body={"error": {"code": "NotFound", "message": "gone"}})
        return Scripted(body=_build_config(url.partition("/sites/")[2].partition("/")[0]))


def _build_config(name: str) -> Mapping[str, object]:
    return build_web_config(
        build_restriction("PowerPlatformPlex", 100, tag="ServiceTag") | {"name": name}
    )


async def test_apps_are_read_concurrently_within_the_budget() -> None:
    """If the budget is used up, reads wait instead of failing."""
    clock = ManualClock()
    limit = BudgetLimit(name="resource-manager", calls=60, window=MINUTE)
    budget = StoredRequestBudget(MemoryStore(), clock, limit)
    transport = AzureTransport(clock)
    arm = HttpService(name="Resource Manager", scope="", credential=None, budget=budget)
    kind = AppServices(ResourceManager(HttpClient(transport, _SlowCircuits()), arm, ["s"], PUBLIC))

    async with budget.reserve(None):
        firewalls = await kind.read()

    names = [one.name for one in firewalls if not one.id.endswith("#scm")]
    assert names == [f"app-{number}" for number in range(APPS) if f"app-{number}" != GONE]
    assert all(one.rules[0].name == one.name for one in firewalls if one.name in names)
    assert 1 < transport.most_at_once <= MOST_CONCURRENT
    assert len(transport.made) == 1 + APPS
    assert all(
        sum(moment <= other < moment + MINUTE for other in transport.made) <= limit.calls
        for moment in transport.made
    )


async def test_concurrent_waits_count_once_for_the_time_limit() -> None:
    """Reads that wait at the same time add up to one wait."""
    clock = _SharedClock()
    budget = StoredRequestBudget(
        MemoryStore(), clock, BudgetLimit(name="resource-manager", calls=60, window=MINUTE)
    )
    async with budget.reserve(None):
        for _ in range(60):
            await budget.wait_for_requests()
            await budget.take()

        await asyncio.gather(*(budget.wait_for_requests() for _ in range(MOST_CONCURRENT)))


class _SlowCircuits(NoCircuitBreakerGate):
    """Circuit breakers that let other tasks run before each request, as the read of a stored row
    would.
    """

    @asynccontextmanager
    async def guard_request(self, service: str, place: str, target: str) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        yield


class _SharedClock(ManualClock):
    """A clock on which tasks that sleep at the same time wake at the same time."""

    async def sleep(self, time: timedelta) -> None:
        moment = self.now() + time
        await asyncio.sleep(0)
        self.advance_to(moment)
