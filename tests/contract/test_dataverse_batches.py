import asyncio
from collections.abc import AsyncIterator

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.seed.environment import seed_flow
from shared.concurrency import run_concurrently
from shared.domain.flow import WorkflowSummary
from shared.errors import CmkflowError, NotFound, ServiceUnavailable, ThrottledError
from tests.contract.adapter_world import Adapters, run_adapters
from tests.local_cloud.tenant.tenant_world import (
    BUTTON,
    HTTP_FLOW,
    MAKER,
    PARENT_FLOW,
    build_definition,
)

MANY = 230
BATCHES = "dataverse.run_batch"
SHARES = "dataverse.list_access"
LISTS = "dataverse.list_workflows"
GONE = "f0000000-0000-4000-8000-00000000dead"


def build_id(number: int) -> str:
    return f"fb000000-0000-4000-8000-{number:012d}"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as made:
        for number in range(MANY):
            seed_flow(
                made.world.tenant,
                made.world.environment,
                {
                    "workflowEntityId": build_id(number),
                    "displayName": f"Flow {number}",
                    "definition": build_definition(BUTTON),
                    "owner": MAKER,
                    "solutions": ["Orders"],
                },
            )
        made.world.tenant.calls.reset()
        yield made


async def test_many_flows_are_read_in_few_batches(app: Adapters) -> None:
    environment, ids = await app.read_environment(), [build_id(number) for number in range(MANY)]

    shares = await app.flow_sharing.list_shares_by_flow(environment, ids)
    held = await app.solutions.read_solution_ids(environment, ids)

    assert shares == {one: [] for one in ids}
    assert held.keys() == set(ids)
    assert all(held.values())
    assert app.world.tenant.calls.routes[BATCHES] == 10 + 1


async def test_next_pages_of_a_batched_read_are_read(app: Adapters) -> None:
    environment, ids = await app.read_environment(), [build_id(number) for number in range(MANY)]
    whole = await app.solutions.read_solution_ids(environment, ids)
    app.world.platform.assumptions.dataverse_page = 10

    assert await app.solutions.read_solution_ids(environment, ids) == whole


async def test_concurrent_reads_are_sent_as_one_batch(app: Adapters) -> None:
    environment, calls = await app.read_environment(), app.world.tenant.calls
    calls.reset()

    async def read_in_group() -> dict[str, frozenset[str]]:
        async with run_concurrently() as reads:
            return await reads.create_task(
                app.solutions.read_solution_ids(environment, [build_id(0)])
            )

    row = asyncio.create_task(app.workflows.get(environment, build_id(0)))
    held = asyncio.create_task(read_in_group())
    shares = asyncio.create_task(app.flow_sharing.list(environment, build_id(0)))
    gone = asyncio.create_task(app.workflows.get(environment, GONE))
    impatient = asyncio.create_task(app.workflows.get(environment, build_id(1)))
    asyncio.get_running_loop().call_later(0, impatient.cancel)
    await asyncio.wait({row, held, shares, gone, impatient})

    assert (await row).name == "Flow 0"
    assert (await held)[build_id(0)]
    assert await shares == []
    assert isinstance(gone.exception(), NotFound)
    assert impatient.cancelled()
    assert calls.routes == {BATCHES: 1}
    assert calls.batched.total() == 5


async def test_single_read_is_not_sent_as_a_batch(app: Adapters) -> None:
    environment, calls = await app.read_environment(), app.world.tenant.calls
    calls.reset()

    await app.workflows.get(environment, build_id(0))
    await app.flow_sharing.list_shares_by_flow(environment, [build_id(0)])

    assert BATCHES not in calls.routes
    assert calls.routes.total() == 2


async def test_rejected_read_does_not_affect_other_reads_of_the_batch(app: Adapters) -> None:
    app.world.tenant.faults.add(
        Fault(route=SHARES, status=429, headers={"Retry-After": "7"}, skip=2)
    )

    found = await app.flow_sharing.list_shares_by_flow(
        await app.read_environment(), [HTTP_FLOW, GONE, PARENT_FLOW, build_id(1)]
    )

    assert found[HTTP_FLOW] == found[build_id(1)] == []
    assert isinstance(found[GONE], NotFound)
    throttled = found[PARENT_FLOW]
    assert isinstance(throttled, ThrottledError)
    assert throttled.retry_after is not None
    assert throttled.retry_after.total_seconds() == 7


async def test_summaries_of_many_flows_are_read_in_one_batch(app: Adapters) -> None:
    environment, ids = await app.read_environment(), [build_id(number) for number in range(MANY)]
    whole = await app.workflows.read_summaries(environment, ids)
    calls = dict(app.world.tenant.calls.routes)
    app.world.tenant.faults.add(Fault(route=LISTS, status=429, headers={"Retry-After": "7"}))

    found = await app.workflows.read_summaries(environment, ids)

    assert calls[BATCHES] == 1
    assert [one.name for one in whole.values() if isinstance(one, WorkflowSummary)] == [
        f"Flow {number}" for number in range(MANY)
    ]
    silent = [one for one in ids if isinstance(found[one], ThrottledError)]
    assert silent == ids[:25]
    assert all(found[one] == whole[one] for one in ids[25:])


async def test_failed_batch_does_not_affect_other_batches(app: Adapters) -> None:
    app.world.tenant.faults.add(Fault(route=BATCHES, kind=FaultKind.DROP_BEFORE, times=1))
    app.world.tenant.faults.add(Fault(route=BATCHES, status=503, times=10))
    ids = [build_id(number) for number in range(MANY)]

    found = await app.flow_sharing.list_shares_by_flow(await app.read_environment(), ids)

    silent = [one for one in found.values() if isinstance(one, CmkflowError)]
    assert all(isinstance(one, ServiceUnavailable) for one in silent)
    assert len(silent) == MANY // 10
