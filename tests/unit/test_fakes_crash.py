import asyncio

import pytest

from shared.errors import ServiceUnavailable
from shared.ports import InsertRow, StoreRow, UpsertRow
from tests.fakes.builder import Builder
from tests.fakes.crash import Killed, Moment, Plan, was_killed
from tests.fakes.ports import Fakes, Ports, build_fakes
from tests.fakes.world import World


@pytest.fixture
def fakes() -> Fakes:
    world = World()
    Builder(world).add_http_flow("Orders")
    return build_fakes(world)


def build_row(key: str) -> StoreRow:
    return StoreRow(table="Jobs", partition="p", key=key, columns={})


async def run_work(ports: Ports) -> list[str]:
    [environment] = await ports.environments.list()
    names = [flow.name async for flow in ports.workflows.list(environment)]
    await ports.store.write(UpsertRow(build_row("a")))
    ports.clock.now()
    await ports.store.write(UpsertRow(build_row("b")))
    return names


async def test_crash_plan_without_a_position_only_counts_calls(fakes: Fakes) -> None:
    plan = Plan(trace=[])

    assert await run_work(fakes.ports.wrap_with_plan(plan)) == ["Orders"]

    assert plan.calls == 4
    assert plan.trace == [
        "FakeEnvironments.list",
        "FakeWorkflows.list",
        "MemoryStore.write",
        "MemoryStore.write",
    ]


@pytest.mark.parametrize(
    ("at", "moment", "written"),
    [
        (1, Moment.BEFORE, []),
        (2, Moment.AFTER, []),
        (3, Moment.BEFORE, []),
        (3, Moment.AFTER, ["a"]),
        (4, Moment.BEFORE, ["a"]),
        (4, Moment.AFTER, ["a", "b"]),
    ],
)
async def test_the_process_dies_before_or_after_a_call(
    fakes: Fakes, at: int, moment: Moment, written: list[str]
) -> None:
    with pytest.raises(Killed):
        await run_work(fakes.ports.wrap_with_plan(Plan(at=at, moment=moment)))

    assert [key for _, _, key in fakes.store.rows] == written


async def test_killed_process_cannot_write(fakes: Fakes) -> None:
    """Code in a `finally` block cannot write after the kill. A new process can."""
    ports = fakes.ports.wrap_with_plan(Plan(at=1))

    async def tidy_up_at_the_end() -> None:
        try:
            await ports.environments.list()
        finally:
            await ports.store.write(InsertRow(build_row("late")))

    with pytest.raises(Killed):
        await tidy_up_at_the_end()

    assert fakes.store.rows == {}
    assert await run_work(fakes.ports.wrap_with_plan(Plan())) == ["Orders"]


async def test_fault_plan_may_lose_a_response(fakes: Fakes) -> None:
    ports = fakes.ports.wrap_with_plan(Plan(at=1, moment=Moment.AFTER, failure=ServiceUnavailable))

    with pytest.raises(ServiceUnavailable):
        await ports.store.write(InsertRow(build_row("a")))
    await ports.store.write(InsertRow(build_row("b")))

    assert len(fakes.store.rows) == 2


async def test_a_kill_inside_a_group_of_tasks_is_still_a_kill(fakes: Fakes) -> None:
    """A task group wraps the kill in another exception."""
    ports = fakes.ports.wrap_with_plan(Plan(at=2))

    async def list_together() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(ports.environments.list())

    with pytest.raises(BaseExceptionGroup) as caught:
        await list_together()

    assert was_killed(caught.value)
    assert not was_killed(ServiceUnavailable())
