import asyncio
from datetime import timedelta

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.queue_messages import QueueCounts

LOCK_SECONDS = 30
EMPTY = QueueCounts()
WIRED_QUEUES = [
    QueueSettings(
        name=f"Queue-{number}",
        lock_duration=timedelta(seconds=LOCK_SECONDS),
        max_delivery_count=2,
        duplicate_detection_window=timedelta(minutes=10),
        dead_letters_expired_messages=True,
    )
    for number in range(50)
]


class Wire:
    """The clients stay open, because closing one takes up to a second."""

    def __init__(self, client: ServiceBusClient, bus: LocalServiceBus, queue: str) -> None:
        self.client = client
        self.queue = queue
        self._bus = bus
        self.sender: ServiceBusSender = client.get_queue_sender(queue)
        self.receiver: ServiceBusReceiver = client.get_queue_receiver(queue)
        self.dead_letters: ServiceBusReceiver = client.get_queue_receiver(
            queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER
        )

    async def send(self, *bodies: str) -> None:
        await self.sender.send_messages([ServiceBusMessage(body) for body in bodies])

    async def receive_one(self) -> ServiceBusReceivedMessage:
        """Receive the next message, which stays locked."""
        [message] = await self.receiver.receive_messages(1, max_wait_time=10)
        return message

    def count_messages(self) -> QueueCounts:
        return self._bus.count_messages(self.queue)

    async def close(self) -> None:
        ends = (self.sender, self.receiver, self.dead_letters)
        await asyncio.gather(*(end.close() for end in ends))


def decode_text(message: ServiceBusReceivedMessage) -> str:
    return str(message)
