"""Test how many store requests an action on all flows of a remediation needs.

A storage request takes 5 to 10 ms, so an action on 2,000 flows takes 2 to 4 seconds. Azure ends a
request for an action after 230 seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.job_index import is_closed
from shared.ports import Operation, StoreRow
from shared.services import Services
from shared.state.tables import Tables
from shared.use_cases import change_remediation
from shared.use_cases.archive_runs import archive_runs
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.schedule_deletions import (
    DeletionInput,
    cancel_deletions,
    schedule_deletions,
)
from tests.fakes.observed_store import ObservedStore
from tests.performance.growth import Grown, Use, build_grown_tenant

#: Most operations for each flow: up to five for a transaction of twenty rows.
MOST_EACH = 0.25
#: Operations whatever the number of flows.
MOST_SHARED = 20
#: Most requests one after the other for each flow: 25 to 50 seconds for 10,000 flows.
MOST_IN_A_ROW = 0.5


async def block_all(tenant: Grown) -> None:
    def mark_blocked(job: FlowJob) -> FlowJob:
        reached = FlowJobState.CHECKING_FOR_CALLS
        return replace(job, state=FlowJobState.BLOCKED, resume_state=reached, reason_code="x")

    jobs = tenant.services.tables.flow_jobs
    await jobs.upsert(*map(mark_blocked, await jobs.read_all()))
    await compare_job_index(tenant.services)


@pytest.mark.parametrize("flows", [100, 1000])
@pytest.mark.parametrize("action", ["roll_back", "retry"])
async def test_action_on_many_flows_needs_few_transactions(flows: int, action: str) -> None:
    tenant = await build_grown_tenant(flows)
    identity = tenant.scenario.remediation.id
    if action == "retry":
        await block_all(tenant)
    done: list[int] = []
    uses: dict[str, Use] = {
        "roll_back": lambda services: change_remediation.roll_back(services, identity),
        "retry": lambda services: change_remediation.retry(services, identity),
    }

    async def act(services: Services) -> None:
        result: change_remediation.ActionResult = await uses[action](services)  # type: ignore[assignment]
        done.append(result.flow_count)

    cost = await tenant.measure_cost(act)

    services = tenant.services
    jobs = [
        job for job in await services.tables.flow_jobs.read_all() if job.remediation_id == identity
    ]
    reminded = {one.row for one in await services.tables.wake_ups.read_all()}
    assert done == [flows] == [len(jobs)]
    assert cost.operations <= MOST_EACH * flows + MOST_SHARED
    assert {services.tables.flow_jobs.get_row_name(job) for job in jobs} <= reminded
    assert not any(map(is_closed, jobs))
    command = JobCommand.ROLL_BACK if action == "roll_back" else None
    assert {job.requested_command for job in jobs} == {command}
    before = await services.tables.job_index.read_all()
    await compare_job_index(services)
    after = await services.tables.job_index.read_all()
    assert {(row.key, str(row.closed)) for row in before} == {
        (row.key, str(row.closed)) for row in after
    }


@dataclass(slots=True)
class SlowStore(ObservedStore):
    """Answers at the same time all requests that wait, and counts these answers."""

    answers: int = 0
    _answer: asyncio.Task[None] | None = field(default=None)

    async def wait(self) -> None:
        if self._answer is None:
            self._answer = asyncio.create_task(self._let_others_ask())
        await self._answer

    async def _let_others_ask(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self.answers += 1
        self._answer = None

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        await self.wait()
        return await self.store.get(table, partition, key)

    async def write(self, *operations: Operation) -> list[StoreRow]:
        await self.wait()
        return await self.store.write(*operations)

    async def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Any = (),
        before: str | None = None,
        after: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[StoreRow]:
        await self.wait()
        async for row in self.store.query(
            table, partition, where=where, before=before, after=after, page_size=page_size
        ):
            yield row


@pytest.mark.parametrize("action", ["schedule deletions", "cancel deletions", "archive runs"])
async def test_action_on_many_flows_does_not_ask_for_one_flow_after_the_other(action: str) -> None:
    """An action on 10,000 flows that does this would exceed the time limit."""
    flows = 200
    tenant = await build_grown_tenant(flows)
    services, identity = tenant.services, tenant.scenario.remediation.id
    later = services.now + timedelta(days=400)
    request = DeletionInput(delete_at=later, approved_by="somebody")
    actions: dict[str, Callable[[Services], Awaitable[Any]]] = {
        "schedule deletions": lambda one: schedule_deletions(one, identity, request),
        "cancel deletions": lambda one: cancel_deletions(one, identity, (), by="somebody"),
        "archive runs": lambda one: archive_runs(one, identity),
    }
    if action == "cancel deletions":
        await schedule_deletions(services, identity, request)
    store = SlowStore(services.tables.store)

    await actions[action](replace(services, tables=Tables(store)))

    assert store.answers <= MOST_IN_A_ROW * flows + 5 * MOST_SHARED
