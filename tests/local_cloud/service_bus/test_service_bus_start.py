import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.servicebus import ServiceBusClient as SyncServiceBusClient
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from local_cloud.service_bus import PRODUCT_QUEUES, LocalServiceBus
from local_cloud.service_bus.configuration import InvalidConfiguration, read_configuration
from local_cloud.service_bus.queue_store import QueueStoreUnavailable
from local_cloud.service_bus.server import HOST


class AnyToken:
    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        assert scopes == ("https://servicebus.azure.net//.default",)
        return AccessToken("token", 2**32)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> "AnyToken":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


async def test_broker_accepts_a_token_credential(bus: LocalServiceBus) -> None:
    async with (
        ServiceBusClient(f"{HOST}:{bus.port}", AnyToken(), use_tls=False) as client,
        client.get_queue_sender("flow-jobs") as sender,
    ):
        await sender.send_messages(ServiceBusMessage("a"))

    assert bus.count_messages("flow-jobs").active == 1


def test_sync_client_works_with_the_connection_string(bus: LocalServiceBus) -> None:
    with (
        SyncServiceBusClient.from_connection_string(bus.connection_string) as client,
        client.get_queue_sender("environment-jobs") as sender,
        client.get_queue_receiver("environment-jobs") as receiver,
    ):
        sender.send_messages(ServiceBusMessage("a"))
        [message] = receiver.receive_messages(1, max_wait_time=10)
        receiver.complete_message(message)

    assert bus.count_messages("environment-jobs").locked == 0


def test_broker_listens_on_this_machine_only(bus: LocalServiceBus) -> None:
    """Any token gives access, so other machines must not reach the broker."""
    assert HOST == "127.0.0.1"
    assert f"sb://127.0.0.1:{bus.port}" in bus.connection_string


def test_start_on_a_used_port_raises_an_error(bus: LocalServiceBus) -> None:
    with (
        pytest.raises(OSError, match="address already in use"),
        LocalServiceBus(PRODUCT_QUEUES, port=bus.port),
    ):
        pass


@pytest.mark.parametrize(
    "greeting", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"AMQP\x03\x01"]
)
def test_connection_of_another_protocol_is_closed(bus: LocalServiceBus, greeting: bytes) -> None:
    with socket.create_connection((HOST, bus.port), timeout=10) as stranger:
        stranger.sendall(greeting)
        stranger.shutdown(socket.SHUT_WR)
        answer = stranger.makefile("rb").read()

    assert answer.startswith(b"AMQP") or answer == b""
    assert bus.count_messages("poison").active == 0


def test_second_broker_on_a_database_is_rejected(tmp_path: Path) -> None:
    """Two brokers on one database would deliver the same messages."""
    database = tmp_path / "queues.db"
    with (
        LocalServiceBus(PRODUCT_QUEUES, database),
        pytest.raises(QueueStoreUnavailable, match=r"queues\.db: database is locked"),
        LocalServiceBus(PRODUCT_QUEUES, database),
    ):
        pass


def test_queues_of_the_product_have_the_designed_settings() -> None:
    queues = read_configuration(PRODUCT_QUEUES)

    names = [queue.name for queue in queues]
    assert names == ["key-events", "policy-events", "environment-jobs", "flow-jobs", "poison"]
    assert {queue.duplicate_detection_window for queue in queues} == {timedelta(minutes=10)}
    assert {queue.max_delivery_count for queue in queues} == {10}
    assert {queue.lock_duration for queue in queues} == {timedelta(minutes=1)}


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        ({"Properties": {"RequiresSession": True}}, "RequiresSession"),
        ({"Properties": {"ForwardTo": "other"}}, "ForwardTo"),
        ({"Properties": {"LockDuration": "PT10M"}}, "LockDuration"),
        ({"Properties": {"MaxSizeInMegabytes": 1}}, "MaxSizeInMegabytes"),
        ({"Name": "a queue"}, "Name"),
    ],
)
def test_unsupported_queue_property_is_rejected(
    tmp_path: Path, queue: dict[str, object], words: str
) -> None:
    path = tmp_path / "Config.json"
    namespace = {"Name": "sbemulatorns", "Queues": [{"Name": "queue"} | queue]}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))

    with pytest.raises(InvalidConfiguration, match=words) as refusal:
        read_configuration(path)

    assert str(path) in str(refusal.value)


def test_a_configuration_with_topics_is_rejected(tmp_path: Path) -> None:
    """The format of the file allows topics, but the broker has none."""
    path = tmp_path / "Config.json"
    namespace = {"Name": "sbemulatorns", "Topics": [{"Name": "topic"}]}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))

    with pytest.raises(InvalidConfiguration, match="Topics"):
        read_configuration(path)


def test_duplicate_queue_name_is_rejected(tmp_path: Path) -> None:
    """As in Service Bus, names that differ only in case are the same."""
    path = tmp_path / "Config.json"
    namespace = {"Name": "sbemulatorns", "Queues": [{"Name": "jobs"}, {"Name": "Jobs"}]}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))

    with pytest.raises(InvalidConfiguration, match="twice"):
        read_configuration(path)
