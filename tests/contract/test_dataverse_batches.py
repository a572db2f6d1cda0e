"""Reads of Dataverse in batches: each keeps its own answer, whatever becomes of the others."""

from collections.abc import AsyncIterator

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.seed.environment import seed_flow
from shared.errors import NotFound, ProductError, Throttled, Unavailable
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.tenant_world import BUTTON, HTTP_FLOW, MAKER, PARENT_FLOW, definition

MANY = 230
BATCHES = "dataverse.run_batch"
SHARES = "dataverse.list_access"
GONE = "f0000000-0000-4000-8000-00000000dead"


def id_of(number: int) -> str:
    """Return the id of one of many flows."""
    return f"fb000000-0000-4000-8000-{number:012d}"


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """All adapters on a tenant of many flows."""
    async with adapters(monkeypatch) as made:
        for number in range(MANY):
            seed_flow(
                made.world.tenant,
                made.world.environment,
                {
                    "workflowEntityId": id_of(number),
                    "displayName": f"Flow {number}",
                    "definition": definition(BUTTON),
                    "owner": MAKER,
                    "solutions": ["Orders"],
                },
            )
        made.world.tenant.calls.reset()
        yield made


async def test_many_flows_are_a_few_calls(app: Adapters) -> None:
    """A hundred reads a batch; solutions by filters of 25 flows, all of them in one."""
    environment, ids = await app.environment(), [id_of(number) for number in range(MANY)]

    shares = await app.flow_sharing.list_each(environment, ids)
    held = await app.solutions.holding(environment, ids)

    assert shares == {one: [] for one in ids}
    assert held.keys() == set(ids)
    assert all(held.values())
    assert app.world.tenant.calls.routes[BATCHES] == 3 + 1


async def test_rows_beyond_a_page_are_read_on(app: Adapters) -> None:
    """The answer to a read of a batch may have a next page."""
    environment, ids = await app.environment(), [id_of(number) for number in range(MANY)]
    whole = await app.solutions.holding(environment, ids)
    app.world.platform.assumptions.dataverse_page = 10

    assert await app.solutions.holding(environment, ids) == whole


async def test_a_read_that_is_refused_leaves_the_others_alone(app: Adapters) -> None:
    """One flow is gone, for another there are too many calls just now."""
    app.world.tenant.faults.add(
        Fault(route=SHARES, status=429, headers={"Retry-After": "7"}, skip=2)
    )

    found = await app.flow_sharing.list_each(
        await app.environment(), [HTTP_FLOW, GONE, PARENT_FLOW, id_of(1)]
    )

    assert found[HTTP_FLOW] == found[id_of(1)] == []
    assert isinstance(found[GONE], NotFound)
    throttled = found[PARENT_FLOW]
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after is not None
    assert throttled.retry_after.total_seconds() == 7


async def test_a_batch_without_an_answer_leaves_the_other_batches_alone(app: Adapters) -> None:
    """Twice without one: a read is tried again."""
    app.world.tenant.faults.add(Fault(route=BATCHES, kind=FaultKind.DROP_BEFORE, times=1))
    app.world.tenant.faults.add(Fault(route=BATCHES, status=503, times=3))
    ids = [id_of(number) for number in range(MANY)]

    found = await app.flow_sharing.list_each(await app.environment(), ids)

    silent = [one for one in found.values() if isinstance(one, ProductError)]
    assert all(isinstance(one, Unavailable) for one in silent)
    assert 0 < len(silent) < MANY
