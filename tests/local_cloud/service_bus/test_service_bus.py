import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusReceiveMode,
)
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.queue_messages import QueueCounts
from local_cloud.tenant.core.clock import SimulatedClock
from tests.local_cloud.service_bus.service_bus_wire import (
    EMPTY,
    LOCK_SECONDS,
    WIRED_QUEUES,
    Wire,
    decode_text,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture(scope="module")
def bus(clock: SimulatedClock) -> Iterator[LocalServiceBus]:
    with LocalServiceBus(WIRED_QUEUES, clock=clock.now) as bus:
        clock.on_advance(bus.apply_clock_change)
        yield bus


@pytest.fixture(scope="module")
def queue_names() -> Iterator[str]:
    return iter([queue.name for queue in WIRED_QUEUES])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wires(bus: LocalServiceBus) -> AsyncIterator[list[Wire]]:
    opened: list[Wire] = []
    yield opened
    await asyncio.gather(*(wire.close() for wire in opened))


@pytest.fixture
def wire(
    client: ServiceBusClient, bus: LocalServiceBus, wires: list[Wire], queue_names: Iterator[str]
) -> Wire:
    wires.append(Wire(client, bus, next(queue_names)))
    return wires[-1]


async def test_message_arrives_with_all_its_properties(wire: Wire) -> None:
    order = uuid4()
    message = ServiceBusMessage(
        b'{"flow": "1"}',
        content_type="application/json",
        correlation_id="event-1",
        subject="step",
        message_id="m-1",
        application_properties={"attempt": 3, "ratio": 0.5, "final": True, "order": order},
    )

    await wire.sender.send_messages(message)

    received = await wire.receive_one()
    assert b"".join(received.body) == b'{"flow": "1"}'
    assert (received.content_type, received.subject) == ("application/json", "step")
    assert (received.correlation_id, received.message_id) == ("event-1", "m-1")
    assert received.application_properties == {
        b"attempt": 3,
        b"ratio": 0.5,
        b"final": True,
        b"order": order,
    }
    assert (received.sequence_number, received.delivery_count) == (1, 0)
    await wire.receiver.complete_message(received)
    assert wire.count_messages() == EMPTY


async def test_batch_arrives_as_separate_messages(wire: Wire) -> None:
    """The SDK sends a batch in one transfer."""
    batch = await wire.sender.create_message_batch()
    for number in range(100):
        batch.add_message(ServiceBusMessage(str(number)))

    await wire.sender.send_messages(batch)

    received: list[str] = []
    while len(received) < 100:
        for message in await wire.receiver.receive_messages(100, max_wait_time=10):
            received.append(decode_text(message))
            await wire.receiver.complete_message(message)
    assert received == [str(number) for number in range(100)]


async def test_a_message_of_many_frames_arrives_whole(wire: Wire) -> None:
    body = bytes(range(256)) * 1000

    await wire.sender.send_messages(ServiceBusMessage(body))

    received = await wire.receive_one()
    assert b"".join(received.body) == body


async def test_abandoned_message_is_dead_lettered_at_the_delivery_limit(
    wire: Wire,
) -> None:
    await wire.send("a")

    for deliveries in range(2):
        message = await wire.receive_one()
        assert message.delivery_count == deliveries
        await wire.receiver.abandon_message(message)

    [dead] = await wire.dead_letters.receive_messages(1, max_wait_time=10)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert decode_text(dead) == "a"


async def test_dead_letter_contains_its_reason_and_keeps_its_properties(wire: Wire) -> None:
    await wire.sender.send_messages(ServiceBusMessage("a", application_properties={"k": "v"}))
    message = await wire.receive_one()

    await wire.receiver.dead_letter_message(
        message, reason="unreadable", error_description="no JSON"
    )

    [dead] = await wire.dead_letters.receive_messages(1, max_wait_time=10)
    assert (dead.dead_letter_reason, dead.dead_letter_error_description) == (
        "unreadable",
        "no JSON",
    )
    assert (dead.application_properties or {})[b"k"] == b"v"
    await wire.dead_letters.complete_message(dead)
    assert wire.count_messages() == EMPTY


async def test_a_lost_lock_is_rejected_and_the_message_comes_again(
    wire: Wire, clock: SimulatedClock
) -> None:
    """The broker's clock decides about a lock, even if the SDK considers it valid."""
    await wire.send("a")
    message = await wire.receive_one()

    clock.advance(LOCK_SECONDS)

    with pytest.raises(MessageLockLostError):
        await wire.receiver.complete_message(message)
    assert (await wire.receive_one()).delivery_count == 1


async def test_renewed_lock_lasts_longer(wire: Wire, clock: SimulatedClock) -> None:
    await wire.send("a")
    message = await wire.receive_one()
    first_end = message.locked_until_utc
    clock.advance(LOCK_SECONDS * 0.6)

    end = await wire.receiver.renew_message_lock(message)

    assert first_end is not None
    assert end - first_end > timedelta(seconds=LOCK_SECONDS / 2)
    clock.advance(LOCK_SECONDS * 0.6)
    await wire.receiver.complete_message(message)
    assert wire.count_messages() == EMPTY


async def test_a_renewal_after_the_end_is_rejected(wire: Wire, clock: SimulatedClock) -> None:
    await wire.send("a")
    message = await wire.receive_one()
    clock.advance(LOCK_SECONDS)

    with pytest.raises(MessageLockLostError):
        await wire.receiver.renew_message_lock(message)


async def test_a_duplicate_is_accepted_and_dropped(wire: Wire, clock: SimulatedClock) -> None:
    for _ in range(2):
        await wire.sender.send_messages(ServiceBusMessage("a", message_id="1"))
    await wire.sender.send_messages([ServiceBusMessage(body, message_id="1") for body in "bc"])
    await wire.sender.schedule_messages(ServiceBusMessage("d", message_id="1"), clock.now())
    assert wire.count_messages().active == 1

    clock.advance(10 * 60 + 1)
    await wire.sender.send_messages(ServiceBusMessage("e", message_id="1"))

    assert wire.count_messages().active == 2


async def test_scheduled_message_is_received_at_its_time(wire: Wire, clock: SimulatedClock) -> None:
    due = clock.now() + timedelta(days=7)

    [number] = await wire.sender.schedule_messages(ServiceBusMessage("later"), due)

    [peeked] = await wire.receiver.peek_messages(10)
    assert (peeked.sequence_number, decode_text(peeked), peeked.state.name) == (
        number,
        "later",
        "SCHEDULED",
    )
    clock.advance(7 * 24 * 3600)
    received = await wire.receive_one()
    assert decode_text(received) == "later"


async def test_annotation_of_a_message_schedules_it(wire: Wire, clock: SimulatedClock) -> None:
    due = clock.now() + timedelta(hours=1)
    await wire.sender.send_messages(ServiceBusMessage("later", scheduled_enqueue_time_utc=due))
    assert wire.count_messages().scheduled == 1

    clock.advance(3600)

    assert decode_text(await wire.receive_one()) == "later"


async def test_a_cancelled_message_never_comes(wire: Wire, clock: SimulatedClock) -> None:
    due = clock.now() + timedelta(hours=1)
    numbers = await wire.sender.schedule_messages([ServiceBusMessage(b) for b in "ab"], due)

    await wire.sender.cancel_scheduled_messages(numbers)

    assert wire.count_messages() == EMPTY
    with pytest.raises(ServiceBusError):
        await wire.sender.cancel_scheduled_messages(numbers)


async def test_peek_returns_messages_without_a_lock(wire: Wire) -> None:
    await wire.send(*"abc")
    locked = await wire.receive_one()

    first = await wire.receiver.peek_messages(2, sequence_number=1)
    rest = await wire.receiver.peek_messages(10, sequence_number=3)

    assert [decode_text(message) for message in (*first, *rest)] == ["a", "b", "c"]
    assert decode_text(locked) == "a"
    assert wire.count_messages().locked == 1


async def test_an_expired_message_is_dead_lettered(wire: Wire, clock: SimulatedClock) -> None:
    message = ServiceBusMessage("a", time_to_live=timedelta(minutes=5))
    await wire.sender.send_messages(message)

    clock.advance(5 * 60)

    [dead] = await wire.dead_letters.receive_messages(1, max_wait_time=10)
    assert dead.dead_letter_reason == "TTLExpiredException"


async def test_receivers_share_a_queue_without_sharing_a_message(wire: Wire) -> None:
    await wire.send(*(str(number) for number in range(200)))
    other = wire.client.get_queue_receiver(wire.queue, prefetch_count=20)
    seen: list[str] = []

    async def work(receiver: ServiceBusReceiver) -> None:
        while messages := await receiver.receive_messages(20, max_wait_time=1):
            for message in messages:
                seen.append(decode_text(message))
                await receiver.complete_message(message)

    await asyncio.gather(work(wire.receiver), work(other))

    assert sorted(map(int, seen)) == list(range(200))
    assert wire.count_messages() == EMPTY
    await other.close()


async def test_closing_receiver_releases_prefetched_messages(wire: Wire) -> None:
    await wire.send(*"abc")
    greedy = wire.client.get_queue_receiver(wire.queue, prefetch_count=10)
    [first] = await greedy.receive_messages(1, max_wait_time=10)
    await greedy.complete_message(first)

    await greedy.close()

    message = await wire.receive_one()
    assert (decode_text(message), message.delivery_count) == ("b", 0)


async def test_receive_and_delete_removes_on_delivery(wire: Wire) -> None:
    await wire.send("a")
    receiver = wire.client.get_queue_receiver(
        wire.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
    )

    [message] = await receiver.receive_messages(1, max_wait_time=10)

    assert decode_text(message) == "a"
    assert wire.count_messages() == EMPTY
    await receiver.close()


async def test_lock_remains_after_its_link_is_closed(wire: Wire) -> None:
    """As in Azure, a message stays locked when its receiver closes without settling it."""
    await wire.send("a")
    receiver = wire.client.get_queue_receiver(wire.queue)
    await receiver.receive_messages(1, max_wait_time=10)

    await receiver.close()

    assert wire.count_messages().locked == 1


@pytest.mark.parametrize(
    ("settle", "end"),
    [
        ("complete_message", EMPTY),
        ("abandon_message", QueueCounts(active=1)),
        ("dead_letter_message", QueueCounts(dead_letter=1)),
    ],
)
async def test_management_node_settles_a_message(wire: Wire, settle: str, end: QueueCounts) -> None:
    """The SDK settles through the management node if the receiver's link is gone."""
    await wire.send("a")
    message = await wire.receive_one()
    message._is_deferred_message = True

    await getattr(wire.receiver, settle)(message)

    assert wire.count_messages() == end
