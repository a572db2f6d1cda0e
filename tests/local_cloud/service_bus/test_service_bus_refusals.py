import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusError,
)

from local_cloud.service_bus import LocalServiceBus

pytestmark = pytest.mark.asyncio(loop_scope="module")


Attempt = Callable[[ServiceBusClient], Awaitable[object]]


async def send_to_unknown_queue(client: ServiceBusClient) -> None:
    async with client.get_queue_sender("nowhere") as sender:
        await sender.send_messages(ServiceBusMessage("a"))


async def receive_from_unknown_queue(client: ServiceBusClient) -> None:
    async with client.get_queue_receiver("nowhere") as receiver:
        await receiver.receive_messages(1, max_wait_time=1)


async def receive_from_a_subscription(client: ServiceBusClient) -> None:
    async with client.get_subscription_receiver("topic", "subscription") as receiver:
        await receiver.receive_messages(1, max_wait_time=1)


async def receive_a_session(client: ServiceBusClient) -> None:
    async with client.get_queue_receiver("poison", session_id="1") as receiver:
        await receiver.receive_messages(1, max_wait_time=1)


async def send_to_the_dead_letters(client: ServiceBusClient) -> None:
    async with client.get_queue_sender("poison/$DeadLetterQueue") as sender:
        await sender.send_messages(ServiceBusMessage("a"))


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (send_to_unknown_queue, MessagingEntityNotFoundError, "nowhere"),
        (receive_from_unknown_queue, MessagingEntityNotFoundError, "nowhere"),
        (receive_from_a_subscription, MessagingEntityNotFoundError, "topic"),
        (receive_a_session, ServiceBusError, "Sessions are not offered"),
        (send_to_the_dead_letters, ServiceBusError, "dead-letter queue"),
    ],
)
async def test_unsupported_operation_is_rejected(
    client: ServiceBusClient, attempt: Attempt, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await asyncio.wait_for(attempt(client), 20)


async def test_too_large_message_is_rejected_by_the_broker(
    client: ServiceBusClient, bus: LocalServiceBus
) -> None:
    async with client.get_queue_sender("key-events") as sender:
        await sender._open()
        handler: Any = sender._handler
        handler._max_message_size_on_link = handler._link.remote_max_message_size = 2**20

        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(b"x" * 262_144))

    assert bus.count_messages("key-events").active == 0
