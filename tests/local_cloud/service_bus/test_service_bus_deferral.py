import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import MessageNotFoundError

from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.queue_messages import QueueCounts
from tests.local_cloud.service_bus.service_bus_wire import EMPTY, WIRED_QUEUES, Wire, decode_text

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def bus() -> Iterator[LocalServiceBus]:
    with LocalServiceBus(WIRED_QUEUES) as bus:
        yield bus


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wires(bus: LocalServiceBus) -> AsyncIterator[Iterator[Wire]]:
    connection_string = bus.connection_string
    opened: list[Wire] = []
    async with ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:

        def open_wires() -> Iterator[Wire]:
            for queue in WIRED_QUEUES:
                opened.append(Wire(client, bus, queue.name))
                yield opened[-1]

        yield open_wires()
        await asyncio.gather(*(wire.close() for wire in opened))


@pytest.fixture
def wire(wires: Iterator[Wire]) -> Wire:
    return next(wires)


async def send_and_defer(wire: Wire) -> int:
    """Send, receive and defer a message. Return its sequence number."""
    await wire.sender.send_messages(ServiceBusMessage("a", application_properties={"k": 1}))
    message = await wire.receive_one()
    await wire.receiver.defer_message(message)
    assert message.sequence_number is not None
    return message.sequence_number


async def receive_deferred(wire: Wire, number: int) -> ServiceBusReceivedMessage:
    [message] = await wire.receiver.receive_deferred_messages(number)
    return message


async def test_a_deferred_message_is_received_by_its_number(wire: Wire) -> None:
    number = await send_and_defer(wire)
    [peeked] = await wire.receiver.peek_messages(10, sequence_number=1)
    assert peeked.state.name == "DEFERRED"

    message = await receive_deferred(wire, number)

    assert (decode_text(message), message.application_properties) == ("a", {b"k": 1})
    await wire.receiver.renew_message_lock(message)
    await wire.receiver.complete_message(message)
    assert wire.count_messages() == EMPTY


@pytest.mark.parametrize(
    ("settle", "end"),
    [
        ("abandon_message", QueueCounts(deferred=1)),
        ("defer_message", QueueCounts(deferred=1)),
        ("dead_letter_message", QueueCounts(dead_letter=1)),
    ],
)
async def test_deferred_message_is_settled_by_the_management_node(
    wire: Wire, settle: str, end: QueueCounts
) -> None:
    """No link belongs to a deferred message, so the SDK uses the management node."""
    message = await receive_deferred(wire, await send_and_defer(wire))

    await getattr(wire.receiver, settle)(message)

    assert wire.count_messages() == end


async def test_a_deferred_message_can_be_received_and_deleted(wire: Wire) -> None:
    number = await send_and_defer(wire)
    receiver = wire.client.get_queue_receiver(
        wire.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
    )

    [message] = await receiver.receive_deferred_messages(number)

    assert decode_text(message) == "a"
    assert wire.count_messages() == EMPTY
    await receiver.close()


async def test_number_of_a_message_that_is_not_deferred_is_not_found(wire: Wire) -> None:
    await wire.send("a")

    with pytest.raises(MessageNotFoundError):
        await wire.receiver.receive_deferred_messages([1])
