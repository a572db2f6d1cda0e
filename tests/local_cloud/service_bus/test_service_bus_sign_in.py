"""Test connections with frames that Microsoft's Python codec writes, not the broker's own."""

import socket
from typing import Any

import pytest
from azure.servicebus._pyamqp._decode import decode_frame
from azure.servicebus._pyamqp._encode import encode_frame
from azure.servicebus._pyamqp.performatives import OpenFrame, SASLInit

from local_cloud.service_bus import LocalServiceBus

AMQP, SASL = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
OPEN, CLOSE, MECHANISMS, OUTCOME = 0x10, 0x18, 0x40, 0x44


def build_open_frame(**fields: Any) -> Any:
    return OpenFrame(**(dict.fromkeys(OpenFrame._fields) | {"container_id": "client"} | fields))


class RawClient:
    def __init__(self, bus: LocalServiceBus) -> None:
        self.socket = socket.create_connection(("127.0.0.1", bus.port), timeout=10)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, performative: Any, frame_type: bytes = b"\x00") -> None:
        header, body = encode_frame(performative, frame_type)
        self.socket.sendall(header + b"\x00\x00" + (body or b""))

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (part := self.socket.recv(size - len(data))):
            data += part
        return data

    def read_frame(self) -> tuple[int, list[Any]]:
        size = int.from_bytes(self.read(4))
        return decode_frame(memoryview(self.read(size - 4))[4:])

    def read_heartbeat(self) -> bytes:
        return self.read(8)


@pytest.mark.parametrize("mechanism", ["MSSBCBS", "ANONYMOUS"])
def test_broker_offers_the_sign_in_mechanism_of_each_client(
    bus: LocalServiceBus, mechanism: str
) -> None:
    """.NET's client needs MSSBCBS, and the clients for Python and JavaScript need ANONYMOUS."""
    with RawClient(bus) as client:
        client.socket.sendall(SASL)
        assert client.read(8) == SASL
        code, fields = client.read_frame()
        assert (code, mechanism.encode() in fields[0]) == (MECHANISMS, True)

        client.send(SASLInit(mechanism, b"whoever", "localhost"), b"\x01")

        assert client.read_frame() == (OUTCOME, [0, None])
        client.socket.sendall(AMQP)
        assert client.read(8) == AMQP
        client.send(build_open_frame())
        assert client.read_frame()[0] == OPEN


def test_unknown_sign_in_mechanism_is_rejected(bus: LocalServiceBus) -> None:
    with RawClient(bus) as client:
        client.socket.sendall(SASL)
        client.read(8)
        client.read_frame()
        client.send(SASLInit("PLAIN", b"\0user\0secret", "localhost"), b"\x01")

        assert client.read_frame() == (OUTCOME, [1, None])
        assert client.read(1) == b""


def test_client_of_another_protocol_gets_the_amqp_header(bus: LocalServiceBus) -> None:
    """As the standard requires, the broker sends its own protocol header and disconnects."""
    with RawClient(bus) as client:
        client.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")

        assert client.read(9) == AMQP


@pytest.mark.parametrize(
    "nonsense", [b"\xff" * 8, b"\x00\x00\x00\x0c\x02\x00\x00\x00\xff\xff\xff\xff"]
)
def test_malformed_frame_closes_the_connection_with_an_error(
    bus: LocalServiceBus, nonsense: bytes
) -> None:
    with RawClient(bus) as client, RawClient(bus) as other:
        for each in (client, other):
            each.socket.sendall(AMQP)
            each.read(8)
        client.socket.sendall(nonsense)

        code, fields = client.read_frame()
        assert (code, fields[0][0]) == (CLOSE, b"amqp:decode-error")
        assert client.read(1) == b""
        other.send(build_open_frame())
        assert other.read_frame()[0] == OPEN


def test_client_with_an_idle_timeout_gets_heartbeats(bus: LocalServiceBus) -> None:
    with RawClient(bus) as client:
        client.socket.sendall(AMQP)
        client.read(8)
        client.send(build_open_frame(idle_timeout=1000))
        client.read_frame()

        assert client.read_heartbeat() == b"\x00\x00\x00\x08\x02\x00\x00\x00"
