from datetime import timedelta

import pytest

from shared.errors import ServiceUnavailable
from shared.ports import QueueMessage
from tests.fakes.clock import ManualClock
from tests.fakes.crash import Killed
from tests.fakes.messages import DUPLICATE_WINDOW, Delivered, Delivery, FakeMessages
from tests.fakes.world import World

QUEUE = "flow-jobs"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def messages(clock: ManualClock) -> FakeMessages:
    return FakeMessages(clock)


def build_message(name: str, **body: object) -> QueueMessage:
    return QueueMessage(queue=QUEUE, message_id=name, body=body)


class Reader:
    """A handler that records its messages, and raises `failure` if it is given."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.read: list[Delivered] = []
        self._failure = failure

    async def __call__(self, delivered: Delivered) -> None:
        self.read.append(delivered)
        if self._failure:
            raise self._failure


async def test_completed_message_is_delivered_once(messages: FakeMessages) -> None:
    reader = Reader()
    await messages.send(build_message("a", job="1"))

    assert await messages.deliver_next(QUEUE, reader) is Delivery.COMPLETED
    assert await messages.deliver_next(QUEUE, reader) is Delivery.NOTHING_DUE

    assert [(one.message_id, one.body) for one in reader.read] == [("a", {"job": "1"})]


async def test_scheduled_message_is_not_delivered_before_its_time(
    messages: FakeMessages, clock: ManualClock
) -> None:
    due = clock.now() + timedelta(hours=1)
    await messages.send(QueueMessage(queue=QUEUE, message_id="a", body={}, due=due))

    assert await messages.deliver_next(QUEUE, Reader()) is Delivery.NOTHING_DUE
    assert await messages.count(QUEUE) == 1
    assert messages.find_next_due() == due
    clock.advance_to(due)

    assert await messages.deliver_next(QUEUE, Reader()) is Delivery.COMPLETED


async def test_an_equal_id_is_dropped_for_ten_minutes(
    messages: FakeMessages, clock: ManualClock
) -> None:
    await messages.send(build_message("a"), build_message("a"))
    await messages.deliver_next(QUEUE, Reader())
    await messages.send(build_message("a"))
    assert await messages.count(QUEUE) == 0

    clock.advance(DUPLICATE_WINDOW)
    await messages.send(build_message("a"))

    assert await messages.count(QUEUE) == 1


@pytest.mark.parametrize(("loses", "failure"), [(True, None), (False, Killed())])
async def test_unsettled_message_is_delivered_again(
    messages: FakeMessages, loses: bool, failure: BaseException | None
) -> None:
    reader = Reader(failure)
    await messages.send(build_message("a"))

    first = await messages.deliver_next(QUEUE, reader, loses_settlement=loses)
    await messages.deliver_next(QUEUE, reader)

    assert first in {Delivery.NOT_SETTLED, Delivery.KILLED}
    assert [one.delivery_count for one in reader.read] == [2, 2]
    assert reader.read[0] is reader.read[1]


async def test_message_is_dead_lettered_after_ten_failures(messages: FakeMessages) -> None:
    await messages.send(build_message("a"))

    for _ in range(10):
        with pytest.raises(ServiceUnavailable):
            await messages.deliver_next(QUEUE, Reader(ServiceUnavailable()))

    assert await messages.count(QUEUE) == 0
    assert await messages.count(QUEUE, dead_letters=True) == 1
    assert [one.message_id for one in messages.list_dead_letters(QUEUE)] == ["a"]


async def test_random_order_depends_on_the_seed(clock: ManualClock) -> None:
    async def order(seed: int) -> list[str]:
        broker, reader = FakeMessages(clock, order=World(seed=seed).random), Reader()
        await broker.send(*(build_message(str(number)) for number in range(5)))
        while await broker.deliver_next(QUEUE, reader) is not Delivery.NOTHING_DUE:
            pass
        return [one.message_id for one in reader.read]

    orders = [await order(seed) for seed in range(4)]

    assert await order(0) == orders[0]
    assert all(sorted(found) == ["0", "1", "2", "3", "4"] for found in orders)
    assert len({tuple(found) for found in orders}) > 1


@pytest.mark.parametrize("refused", [build_message("x" * 129), build_message("")])
async def test_message_that_the_sdk_rejects_raises_value_error(
    messages: FakeMessages, refused: QueueMessage
) -> None:
    with pytest.raises(ValueError, match="message"):
        await messages.send(refused)
    assert messages.list_waiting_messages(QUEUE) == []
