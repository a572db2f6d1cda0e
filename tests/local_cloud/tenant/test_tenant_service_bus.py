import json

from azure.servicebus.aio import ServiceBusClient

from local_cloud.service_bus import PRODUCT_QUEUES, LocalServiceBus
from local_cloud.tenant.core.tenant import SimulatedQueueMessage
from local_cloud.tenant.serving.service_bus import ServiceBusPublisher
from tests.local_cloud.tenant.tenant_world import TenantWorld, serve_tenant_world


async def receive_messages(connection_string: str, queue: str) -> list[tuple[str, dict[str, str]]]:
    async with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        found = []
        for message in await receiver.receive_messages(max_message_count=5, max_wait_time=5):
            sent = message.application_properties or {}
            properties = {_decode_text(name): _decode_text(value) for name, value in sent.items()}
            found.append((str(message), properties))
            await receiver.complete_message(message)
        return found


def _decode_text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def rotate_key(world: TenantWorld) -> None:
    answer = await world.call(
        "POST",
        "https://kv-cmk.vault.azure.net/keys/pp-cmk/rotate",
        {},
        audience="https://vault.azure.net",
        query={"api-version": "7.4"},
    )
    assert answer.status == 200


async def test_a_rotation_arrives_on_the_queue_of_key_events() -> None:
    with LocalServiceBus(PRODUCT_QUEUES) as bus:
        async with (
            serve_tenant_world() as world,
            ServiceBusPublisher(bus.connection_string) as publisher,
        ):
            world.tenant.events = publisher
            await rotate_key(world)
            messages = await receive_messages(bus.connection_string, "key-events")

    [(body, properties)] = messages
    assert json.loads(body)["eventType"] == "Microsoft.KeyVault.KeyNewVersionCreated"
    assert properties["aeg-event-type"] == "Notification"


async def test_event_with_a_repeated_id_arrives_once() -> None:
    message = SimulatedQueueMessage(queue="policy-events", body="{}", message_id="event-1")
    with LocalServiceBus(PRODUCT_QUEUES) as bus:
        async with ServiceBusPublisher(bus.connection_string) as publisher:
            await publisher(message)
            await publisher(message)
        messages = await receive_messages(bus.connection_string, "policy-events")

    assert len(messages) == 1
