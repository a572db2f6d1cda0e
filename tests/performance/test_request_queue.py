from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.request_demand import QueuedJob, RequestDemand
from shared.errors import MustWait
from shared.ports import StoreRow
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

MINUTE = timedelta(minutes=1)
LIMIT = BudgetLimit(name="flow-service", calls=5, most=20, window=MINUTE)
#: Most rows for each reading: the beginning of the queue, the budget and the job's own entry.
MOST_ROWS = 60


class CountedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.rows_read = 0

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        self.rows_read += 1
        return await super().get(table, partition, key)

    async def query(self, *of: Any, **options: Any) -> AsyncIterator[StoreRow]:
        async for row in super().query(*of, **options):
            self.rows_read += 1
            yield row


class Queue:
    """A request queue with jobs that need one request to start and eight later."""

    def __init__(self, jobs: int, *, instances: int = 1, limit: BudgetLimit = LIMIT) -> None:
        self.clock, self.store = ManualClock(), CountedStore()
        self.budgets = [
            StoredRequestBudget(self.store, self.clock, limit) for _ in range(instances)
        ]
        self.budget = self.budgets[0]
        #: By instance, when it sent each request.
        self.requests: dict[int, list[datetime]] = {}
        self.due = {
            str(UUID(int=number * 2**128 // jobs)): self.clock.now() for number in range(jobs)
        }
        self.begun = set[str]()
        self.readings = 0

    def build_demand(self, job: str) -> RequestDemand:
        row = ("flowjobs", "environment", job)
        if job in self.begun:
            return RequestDemand(job_id=job, requests=8, priority="1-97", row=row)
        return RequestDemand(job_id=job, requests=1, later_requests=8, priority="3", row=row)

    async def run(self, length: timedelta) -> None:
        """Run each job when it is due, and the timer every minute, for this length of time."""
        timer, end = self.clock.now(), self.clock.now() + length
        while self.due and self.clock.now() < end:
            job = min(self.due, key=self.due.__getitem__)
            if timer <= self.due[job]:
                self.clock.advance_to(timer)
                await self.budget.wake_up_next_jobs(self.promote_job)
                self.readings += 1
                timer += MINUTE
                continue
            self.clock.advance_to(self.due[job])
            await self.run_job(job)

    async def run_job(self, job: str) -> None:
        self.readings += 1
        demand = self.build_demand(job)
        instance = crc32(job.encode()) % len(self.budgets)
        budget = self.budgets[instance]
        try:
            async with budget.reserve(demand):
                for _ in range(demand.requests):
                    await budget.wait_for_requests()
                    await budget.take()
                    self.requests.setdefault(instance, []).append(self.clock.now())
        except MustWait as err:
            self.due[job] = err.until
            return
        if job in self.begun:
            del self.due[job]
        self.begun.add(job)

    async def promote_job(self, turn: QueuedJob) -> bool:
        """Make a waiting job due when its requests are available.

        Returns False if it no longer waits.
        """
        job = turn.row[2]
        is_waiting = (
            job in self.due and self.build_demand(job).queue_position == turn.queue_position
        )
        if is_waiting:
            self.due[job] = turn.requests_available_at
        return is_waiting


@pytest.mark.parametrize("jobs", [100, 1000])
async def test_rows_per_read_do_not_grow_with_the_queue(jobs: int) -> None:
    queue = Queue(jobs)

    await queue.run(MINUTE * 60)

    assert len(queue.begun) > 30
    assert queue.readings > jobs
    assert queue.store.rows_read <= MOST_ROWS * queue.readings


async def test_totals_of_the_queue_equal_its_rows() -> None:
    queue = Queue(200)
    for job in list(queue.due):
        await queue.run_job(job)
    counted = await queue.budget.read_queue_status()
    waiting = sum(key[2][0].isdigit() for key in queue.store.rows)

    del queue.store.rows["requestbudgets", LIMIT.name, "leases"]

    assert counted.waiting == waiting
    assert (
        await StoredRequestBudget(queue.store, queue.clock, LIMIT).read_queue_status()
    ).waiting == waiting


async def test_status_of_a_long_queue_reads_one_row() -> None:
    """`GET /api/health` and the Overview page read the status at each request."""
    queue = Queue(500)
    for job in list(queue.due):
        await queue.run_job(job)
    before, now = queue.store.rows_read, queue.clock.now()

    status = await queue.budget.read_queue_status()

    assert queue.store.rows_read == before + 1
    assert status.waiting > 450
    assert isinstance(status.empty_at, datetime)
    assert status.empty_at > now + MINUTE * 20
