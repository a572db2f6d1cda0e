from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from shared.ports import QueueMessage, StoreRow, UpsertRow
from shared.services import Services
from tests.fakes.crash import Moment, Plan
from tests.fakes.driver import Driver, NeverEndsError
from tests.fakes.messages import Delivered
from tests.fakes.ports import Fakes, build_fakes
from tests.fakes.world import World

QUEUE = "flow-jobs"


@pytest.fixture
def fakes() -> Fakes:
    return build_fakes(World())


def build_message(number: int, due: datetime | None = None) -> QueueMessage:
    return QueueMessage(queue=QUEUE, message_id=str(number), body={"number": number}, due=due)


async def count_down(services: Services, message: Delivered) -> None:
    number = int(str(message.body["number"]))
    if number > 1:
        await services.messages.send(build_message(number - 1, services.now + timedelta(days=1)))
    row = StoreRow(table="Jobs", partition="p", key=str(number), columns={})
    await services.tables.store.write(UpsertRow(row))


async def skip_timer(_services: Services) -> None:
    """Do nothing, so that only calls for messages are counted."""


async def test_driver_delivers_due_messages_and_advances_the_clock(fakes: Fakes) -> None:
    seen: list[datetime] = []
    began = fakes.world.clock.now()
    driver = Driver(
        fakes=fakes,
        use_cases={QUEUE: count_down},
        meanwhile=lambda: seen.append(fakes.world.clock.now()),
    )
    await fakes.messages.send(build_message(3))

    await driver.run(began + timedelta(days=5))

    assert driver.deliveries == 3
    assert sorted(key for _, _, key in fakes.store.rows) == ["1", "2", "3"]
    assert seen[-1] == began + timedelta(days=5)
    assert all(later - earlier <= driver.pace for earlier, later in pairwise(seen))


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, 6))
async def test_new_process_completes_the_work_after_a_kill(
    fakes: Fakes, at: int, moment: Moment
) -> None:
    plan = Plan(at=at, moment=moment)
    driver = Driver(fakes=fakes, use_cases={QUEUE: count_down}, plan=plan, timer=skip_timer)
    await fakes.messages.send(build_message(3))

    await driver.run(fakes.world.clock.now() + timedelta(days=5))

    assert plan.is_dead
    assert driver.deliveries == 4
    assert len(fakes.store.rows) == 3


async def test_lost_settlements_repeat_the_work(fakes: Fakes) -> None:
    driver = Driver(fakes=fakes, use_cases={QUEUE: count_down}, unsettled=0.5)
    await fakes.messages.send(build_message(9))

    await driver.run(fakes.world.clock.now() + timedelta(days=20))

    assert driver.deliveries > 9
    assert len(fakes.store.rows) == 9


async def test_endless_messages_raise_never_ends_error(fakes: Fakes) -> None:
    async def run_forever(services: Services, message: Delivered) -> None:
        await services.messages.send(build_message(int(str(message.body["number"])) + 1))

    await fakes.messages.send(build_message(0))

    with pytest.raises(NeverEndsError):
        await Driver(fakes=fakes, use_cases={QUEUE: run_forever}).run(fakes.world.clock.now())
