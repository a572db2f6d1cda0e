import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.local_service_bus import LocalServiceBus
from tests.local_cloud.functions_host.functions_host_process import (
    SAMPLE_APP,
    HostProcess,
    run_host,
    wait_until,
)


def _build_queues(lock_seconds: float) -> list[QueueSettings]:
    lock_duration = timedelta(seconds=lock_seconds)
    return [QueueSettings(name=name, lock_duration=lock_duration) for name in ("orders", "parcels")]


@contextmanager
def _run_bus(lock_seconds: float = 60, port: int = 0) -> Iterator[LocalServiceBus]:
    with LocalServiceBus(_build_queues(lock_seconds), port=port) as bus:
        yield bus


@pytest.fixture
def bus() -> Iterator[LocalServiceBus]:
    with _run_bus() as bus:
        yield bus


async def _send_messages(bus: LocalServiceBus, queue: str, *messages: ServiceBusMessage) -> None:
    async with (
        ServiceBusClient.from_connection_string(bus.connection_string) as client,
        client.get_queue_sender(queue) as sender,
    ):
        await sender.send_messages(list(messages))


async def _wait_until_empty(bus: LocalServiceBus, queue: str) -> None:
    def is_empty() -> bool:
        counts = bus.count_messages(queue)
        return (counts.active, counts.locked, counts.dead_letter) == (0, 0, 0)

    await wait_until(is_empty)


async def test_a_message_arrives_with_the_metadata_of_the_real_host(
    bus: LocalServiceBus, tmp_path: Path
) -> None:
    message = ServiceBusMessage(
        json.dumps({"order": 7}),
        message_id="order-7",
        correlation_id="event-1",
        content_type="application/json",
        subject="created",
        reply_to="answers",
        to="orders",
        application_properties={"tenant": "t1", "tries": 3, "urgent": True},
        time_to_live=timedelta(hours=1),
    )

    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "orders", message)
        [seen] = await wait_until(lambda: host.list_notes("on_order"))
        await _wait_until_empty(bus, "orders")

    metadata = seen["metadata"]
    properties = {"tenant": "t1", "tries": 3, "urgent": True}
    assert seen["body"] == '{"order": 7}'
    assert (seen["message_id"], seen["delivery_count"], seen["sequence_number"]) == (
        "order-7",
        1,
        1,
    )
    assert seen["properties"] == properties
    assert seen["unsent"] == [None, None, None]
    assert "+" not in seen["enqueued"]
    assert len(metadata.pop("LockToken")) == 36
    enqueued, expires = metadata.pop("EnqueuedTimeUtc"), metadata.pop("ExpiresAtUtc")
    assert not enqueued.endswith(("Z", "0"))
    assert enqueued < expires
    assert metadata.pop("EnqueuedTime") == f"{enqueued}+00:00"
    assert metadata.pop("ExpiresAt") == f"{expires}+00:00"
    assert metadata == {
        "MessageId": "order-7",
        "CorrelationId": "event-1",
        "ContentType": "application/json",
        "Subject": "created",
        "Label": "created",
        "ReplyTo": "answers",
        "To": "orders",
        "DeliveryCount": 1,
        "SequenceNumber": 1,
        "ApplicationProperties": properties,
        "UserProperties": properties,
    }


async def test_a_message_without_properties_arrives(bus: LocalServiceBus, tmp_path: Path) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "orders", ServiceBusMessage(""))
        [seen] = await wait_until(lambda: host.list_notes("on_order"))

    assert (seen["body"], seen["properties"]) == ("", {})
    assert seen["metadata"]["ExpiresAtUtc"].startswith("9999-12-31")


async def test_binary_bodies_arrive_byte_for_byte(bus: LocalServiceBus, tmp_path: Path) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "parcels", ServiceBusMessage(b"\xff\x00\xfe"))
        await _send_messages(bus, "orders", ServiceBusMessage("text"))
        [parcel] = await wait_until(lambda: host.list_notes("on_parcel"))
        await wait_until(lambda: host.list_notes("on_order"))
        await _wait_until_empty(bus, "parcels")

    assert parcel["hex"] == "ff00fe"


async def test_a_failure_is_delivered_again(bus: LocalServiceBus, tmp_path: Path) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "orders", ServiceBusMessage("fail once"))
        await wait_until(lambda: len(host.list_notes("on_order")) == 2)
        await _wait_until_empty(bus, "orders")

    assert [note["delivery_count"] for note in host.list_notes("on_order")] == [1, 2]


async def test_the_lock_of_a_long_invocation_is_renewed(tmp_path: Path) -> None:
    with _run_bus(lock_seconds=2) as bus:
        async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
            await _send_messages(bus, "orders", ServiceBusMessage("wait 4.5"))
            await wait_until(lambda: host.list_notes("on_order_done"))
            await _wait_until_empty(bus, "orders")

    assert len(host.list_notes("on_order")) == 1


async def test_host_json_limits_concurrent_messages(bus: LocalServiceBus, tmp_path: Path) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "orders", *[ServiceBusMessage("wait 0.5") for _ in range(7)])
        await wait_until(lambda: bus.count_messages("orders").locked == 3)
        await _wait_until_empty(bus, "orders")
        notes = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]

    steps = {"on_order": 1, "on_order_done": -1}
    running = peak = 0
    for note in notes:
        running += steps.get(note["function"], 0)
        peak = max(peak, running)
    assert (running, peak, len(host.list_notes("on_order"))) == (0, 3, 7)


async def test_stop_completes_the_message_in_progress(bus: LocalServiceBus, tmp_path: Path) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(
            bus, "orders", ServiceBusMessage("wait 1"), ServiceBusMessage("wait 1")
        )
        await wait_until(lambda: len(host.list_notes("on_order")) == 2)
        code = await host.stop()

    assert code == 0
    assert len(host.list_notes("on_order_done")) == 2
    await _wait_until_empty(bus, "orders")


async def test_stop_releases_the_message_of_an_unfinished_invocation(
    bus: LocalServiceBus, tmp_path: Path
) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        await _send_messages(bus, "orders", ServiceBusMessage("wait 60"))
        await wait_until(lambda: host.list_notes("on_order"))
        code = await host.stop()

    assert code == 1
    counts = bus.count_messages("orders")
    assert (counts.active, counts.locked) == (1, 0)


async def test_a_killed_host_leaves_its_message_locked_until_expiry(tmp_path: Path) -> None:
    with _run_bus(lock_seconds=3) as bus:
        async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
            await _send_messages(bus, "orders", ServiceBusMessage("wait 3"))
            await wait_until(lambda: host.list_notes("on_order"))
            host.process.kill()
            await host.process.wait()

        async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
            await wait_until(lambda: host.list_notes("on_order_done"))
            await _wait_until_empty(bus, "orders")

    assert [note["delivery_count"] for note in host.list_notes("on_order")] == [1, 2]


async def test_host_waits_for_a_broker_and_survives_its_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = (
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=y;"
        "UseDevelopmentEmulator=true;"
    )

    async with run_host(tmp_path, ServiceBusConnection=address) as host:
        await wait_until(lambda: host.list_log_lines("queue not reachable, trying again"))
        for number in (1, 2):
            with _run_bus(port=port) as bus:
                await _send_messages(bus, "orders", ServiceBusMessage(f"order {number}"))
                await wait_until(lambda: len(host.list_notes("on_order")) == number)  # noqa: B023
                await _wait_until_empty(bus, "orders")

    assert [note["body"] for note in host.list_notes("on_order")] == ["order 1", "order 2"]


async def test_each_message_of_a_burst_is_processed_once(
    bus: LocalServiceBus, tmp_path: Path
) -> None:
    async with run_host(tmp_path, ServiceBusConnection=bus.connection_string) as host:
        bodies = [str(number) for number in range(100)]
        half = [ServiceBusMessage(body) for body in bodies[:50]]
        rest = [ServiceBusMessage(body) for body in bodies[50:]]
        await asyncio.gather(
            _send_messages(bus, "orders", *half), _send_messages(bus, "orders", *rest)
        )
        await wait_until(lambda: len(host.list_notes("on_order")) >= 100)
        await _wait_until_empty(bus, "orders")

    assert sorted(_read_bodies(host), key=int) == bodies


def _read_bodies(host: HostProcess) -> list[str]:
    return [note["body"] for note in host.list_notes("on_order")]


async def test_function_timeout_ends_all_invocations_of_the_worker(tmp_path: Path) -> None:
    """A timeout kills the worker, as in Azure."""

    def list_delivery_counts(host: HostProcess, body: str) -> list[int]:
        return [
            note["delivery_count"] for note in host.list_notes("on_order") if note["body"] == body
        ]

    with _run_bus(lock_seconds=4) as bus:
        settings = {
            "ServiceBusConnection": bus.connection_string,
            "AzureFunctionsJobHost__functionTimeout": "00:00:02",
        }
        async with run_host(tmp_path, SAMPLE_APP, **settings) as host:
            await _send_messages(bus, "orders", ServiceBusMessage("wait 600"))
            await wait_until(lambda: list_delivery_counts(host, "wait 600"))
            await _send_messages(bus, "orders", ServiceBusMessage("hang once"))
            await wait_until(lambda: host.list_notes("on_order_done"))
            await wait_until(lambda: len(list_delivery_counts(host, "wait 600")) > 1)
            counts = bus.count_messages("orders")

        assert list_delivery_counts(host, "hang once") == [1, 2]
        assert list_delivery_counts(host, "wait 600")[:2] == [1, 2]
        assert counts.dead_letter == 0
        assert len(host.list_notes("at_start")) > 1
        (first, *_) = host.list_log_lines("worker restarted")
        assert first["running"] == ["on_order", "on_order"]
