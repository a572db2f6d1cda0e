import gc
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from azure.servicebus import ServiceBusReceivedMessage

from local_cloud.functions_host.message_data import convert_application_properties
from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.configuration import QueueSettings
from shared.adapters.service_bus import ServiceBusMessages, build_client_by_connection_string
from shared.errors import ServiceUnavailable
from shared.ports import QueueMessage
from tests.fakes.telemetry import RecordingTelemetry

QUEUES = [
    QueueSettings(name=name, duplicate_detection_window=timedelta(minutes=10))
    for name in ("flow-jobs", "poison")
]


@pytest.fixture
def bus() -> Iterator[LocalServiceBus]:
    with LocalServiceBus(QUEUES) as bus:
        yield bus


@pytest.fixture
async def messages(bus: LocalServiceBus) -> AsyncIterator[ServiceBusMessages]:
    adapter = ServiceBusMessages(build_client_by_connection_string(bus.connection_string))
    yield adapter
    await adapter.close()


def build_message(
    number: int, *, queue: str = "flow-jobs", due: datetime | None = None
) -> QueueMessage:
    return QueueMessage(
        queue=queue,
        message_id=f"job-1/copying/{number}",
        body={"job": "job-1", "name": "ä"},
        due=due,
        properties={"kind": "flow-job"},
    )


async def receive_messages(bus: LocalServiceBus, queue: str) -> list[ServiceBusReceivedMessage]:
    async with (
        build_client_by_connection_string(bus.connection_string) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        return await receiver.receive_messages(50, max_wait_time=5)


async def test_messages_arrive_with_id_body_and_properties(
    bus: LocalServiceBus, messages: ServiceBusMessages
) -> None:
    await messages.send(build_message(1), build_message(2, queue="poison"))

    [job] = await receive_messages(bus, "flow-jobs")
    [parked] = await receive_messages(bus, "poison")

    assert job.message_id == "job-1/copying/1"
    assert parked.message_id == "job-1/copying/2"
    assert json.loads(str(job)) == {"job": "job-1", "name": "ä"}
    assert job.content_type == "application/json"
    assert job.application_properties == {b"kind": b"flow-job"}


async def test_many_messages_are_sent_in_several_transfers(
    messages: ServiceBusMessages,
) -> None:
    many = [
        QueueMessage(queue="flow-jobs", message_id=str(n), body={"text": "x" * 4000})
        for n in range(200)
    ]

    await messages.send(*many)

    assert await messages.count("flow-jobs") == 200


async def test_dead_letters_are_counted_separately(
    bus: LocalServiceBus, messages: ServiceBusMessages
) -> None:
    await messages.send(build_message(1))
    async with (
        build_client_by_connection_string(bus.connection_string) as client,
        client.get_queue_receiver("flow-jobs") as receiver,
    ):
        [got] = await receiver.receive_messages(1, max_wait_time=5)
        await receiver.dead_letter_message(got, reason="Unreadable")

    assert await messages.count("flow-jobs") == 0
    assert await messages.count("flow-jobs", dead_letters=True) == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets the SDK leaves when refused
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_stopped_broker_raises_service_unavailable() -> None:
    with LocalServiceBus(QUEUES) as bus:
        used = ServiceBusMessages(build_client_by_connection_string(bus.connection_string))
        unused = ServiceBusMessages(build_client_by_connection_string(bus.connection_string))
        await used.send(build_message(1))

    for adapter in (used, unused):
        with pytest.raises(ServiceUnavailable):
            await adapter.send(build_message(2))
        await adapter.close()
    gc.collect()


@pytest.mark.parametrize(
    ("named", "is_in_span", "expected"),
    [
        ({}, False, {}),
        ({}, True, {"traceparent": "current", "Diagnostic-Id": "current"}),
        ({"traceparent": "job"}, True, {"traceparent": "job", "Diagnostic-Id": "job"}),
        ({"trace-link": "old"}, True, {"trace-link": "old"}),
    ],
)
async def test_message_names_its_trace(
    bus: LocalServiceBus, named: dict[str, str], is_in_span: bool, expected: dict[str, str]
) -> None:
    """The Functions host reads the trace from `Diagnostic-Id`. A message that only links to another
    trace must begin its own trace.
    """
    telemetry = RecordingTelemetry()
    client = build_client_by_connection_string(bus.connection_string)
    adapter = ServiceBusMessages(client, telemetry)
    message = replace(build_message(1), properties=named)
    current = ""
    if is_in_span:
        with telemetry.span("event") as span:
            current = span.traceparent
            await adapter.send(message)
    else:
        await adapter.send(message)
    await adapter.close()
    [received] = await receive_messages(bus, "flow-jobs")

    wanted = {name: text.replace("current", current) for name, text in expected.items()}
    assert convert_application_properties(received) == wanted
