import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from local_cloud.service_bus import PRODUCT_QUEUES, LocalServiceBus
from shared.adapters.service_bus import ServiceBusMessages, build_client_by_connection_string
from shared.errors import NotFound, PlatformError
from shared.ports import MessageSender, QueueMessage
from tests.fakes.clock import ManualClock
from tests.fakes.messages import FakeMessages

QUEUE = "flow-jobs"


@dataclass(frozen=True, slots=True)
class Broker:
    messages: MessageSender
    #: Ids and bodies, in the order of sending.
    due: Callable[[str], Awaitable[list[tuple[str | None, object]]]]


@pytest.fixture(params=["fake", "wire"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    if request.param == "fake":
        clock = ManualClock(datetime.now(UTC))
        fake = FakeMessages(clock)

        async def list_messages_in_memory(queue: str) -> list[tuple[str | None, object]]:
            waiting = fake.list_waiting_messages(queue)
            return [(one.message_id, one.body) for one in waiting if one.due <= clock.now()]

        yield Broker(fake, list_messages_in_memory)
        return
    with LocalServiceBus(PRODUCT_QUEUES) as bus:
        client = build_client_by_connection_string(bus.connection_string)
        adapter = ServiceBusMessages(client)

        async def list_messages_on_wire(queue: str) -> list[tuple[str | None, object]]:
            async with client.get_queue_receiver(queue) as receiver:
                got = await receiver.receive_messages(50, max_wait_time=5)
            return [(one.message_id, json.loads(str(one))) for one in got]

        yield Broker(adapter, list_messages_on_wire)
        await adapter.close()


def build_message(number: int, *, queue: str = QUEUE, due: datetime | None = None) -> QueueMessage:
    body = {"job": "job-1", "name": "ä"}
    return QueueMessage(queue=queue, message_id=f"job-1/copying/{number}", body=body, due=due)


async def test_messages_arrive_in_their_queue_with_id_and_body(broker: Broker) -> None:
    await broker.messages.send(build_message(1), build_message(2, queue="poison"), build_message(3))

    body = {"job": "job-1", "name": "ä"}
    assert await broker.due(QUEUE) == [("job-1/copying/1", body), ("job-1/copying/3", body)]
    assert await broker.due("poison") == [("job-1/copying/2", body)]


async def test_message_with_an_equal_id_is_dropped(broker: Broker) -> None:
    await broker.messages.send(build_message(1), build_message(2), build_message(1))
    await broker.messages.send(build_message(2), build_message(3))

    assert await broker.messages.count(QUEUE) == 3


async def test_scheduled_message_is_counted_and_not_delivered(broker: Broker) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)

    await broker.messages.send(build_message(1, due=later))
    await broker.messages.send(build_message(2, due=later), build_message(3))

    assert await broker.messages.count(QUEUE) == 3
    assert [identity for identity, _ in await broker.due(QUEUE)] == ["job-1/copying/3"]
    assert await broker.messages.count(QUEUE, dead_letters=True) == 0


async def test_too_large_message_is_rejected(broker: Broker) -> None:
    large = QueueMessage(queue=QUEUE, message_id="1", body={"text": "x" * 300_000})

    with pytest.raises(PlatformError, match="MessageSizeExceeded"):
        await broker.messages.send(large)
    await broker.messages.send(build_message(1))

    assert await broker.messages.count(QUEUE) == 1


async def test_missing_queue_is_not_found(broker: Broker) -> None:
    with pytest.raises(NotFound):
        await broker.messages.send(build_message(1, queue="nowhere"))
    with pytest.raises(NotFound):
        await broker.messages.count("nowhere")
