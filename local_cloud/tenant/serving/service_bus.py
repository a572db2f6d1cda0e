"""Connect the tenant to a Service Bus, to which it sends the events of Event Grid."""

from typing import Self

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from local_cloud.tenant.core.tenant import SimulatedQueueMessage


class ServiceBusPublisher:
    """Sends the events of a tenant to queues of a Service Bus."""

    def __init__(self, connection_string: str) -> None:
        self._client = ServiceBusClient.from_connection_string(connection_string)
        self._senders: dict[str, ServiceBusSender] = {}

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders.values():
            await sender.close()
        await self._client.close()

    async def __call__(self, message: SimulatedQueueMessage) -> None:
        sender = self._senders.get(message.queue)
        if sender is None:
            sender = self._senders[message.queue] = self._client.get_queue_sender(message.queue)
        await sender.send_messages(
            ServiceBusMessage(
                message.body,
                content_type=message.content_type,
                message_id=message.message_id,
                application_properties=dict(message.properties.items()),
            )
        )
