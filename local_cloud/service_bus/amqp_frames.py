"""Parse and build the frames of AMQP 1.0.

Names, codes and the order of fields are those of the standard (part 2, "Transport", and part 5,
"Security"). Trailing fields that this service does not use are not listed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from local_cloud.service_bus.amqp_types import (
    NULL,
    MalformedValue,
    decode,
    encode_described,
    encode_list,
    find_end,
    split_described,
    split_elements,
)

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
#: What this side takes and sends at most, in bytes.
MAX_FRAME_SIZE = 65_536
#: Every peer takes as much.
MIN_MAX_FRAME_SIZE = 512
_FRAME_HEADER_SIZE = 8


class MalformedFrame(ValueError):
    """The bytes are not a valid frame. The bytes after them cannot be parsed either."""


class Performative(IntEnum):
    OPEN = 0x10
    BEGIN = 0x11
    ATTACH = 0x12
    FLOW = 0x13
    TRANSFER = 0x14
    DISPOSITION = 0x15
    DETACH = 0x16
    END = 0x17
    CLOSE = 0x18
    SASL_MECHANISMS = 0x40
    SASL_INIT = 0x41
    SASL_OUTCOME = 0x44


#: The fields of each, in their order.
FIELDS: dict[Performative, Sequence[str]] = {
    performative: names.split()
    for performative, names in {
        Performative.OPEN: "container_id hostname max_frame_size channel_max idle_timeout",
        Performative.BEGIN: (
            "remote_channel next_outgoing_id incoming_window outgoing_window handle_max"
        ),
        Performative.ATTACH: (
            "name handle role snd_settle_mode rcv_settle_mode source target unsettled "
            "incomplete_unsettled initial_delivery_count max_message_size"
        ),
        Performative.FLOW: (
            "next_incoming_id incoming_window next_outgoing_id outgoing_window "
            "handle delivery_count link_credit available drain echo"
        ),
        Performative.TRANSFER: (
            "handle delivery_id delivery_tag message_format settled more "
            "rcv_settle_mode state resume aborted"
        ),
        Performative.DISPOSITION: "role first last settled state",
        Performative.DETACH: "handle closed error",
        Performative.END: "error",
        Performative.CLOSE: "error",
        Performative.SASL_MECHANISMS: "sasl_server_mechanisms",
        Performative.SASL_INIT: "mechanism initial_response hostname",
        Performative.SASL_OUTCOME: "code additional_data",
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    performative: Performative
    channel: int
    #: The fields that were sent, still encoded; those behind them have their default.
    fields: list[bytes]
    payload: bytes

    def get_encoded(self, name: str) -> bytes:
        """Return the encoded field *name*.

        Raises `ValueError` if the frame kind has no such field.
        """
        index = FIELDS[self.performative].index(name)
        return self.fields[index] if index < len(self.fields) else NULL

    def get_value(self, name: str, default: Any = None) -> Any:
        """Return the field *name*, or *default* if the frame omits it.

        Raises `MalformedValue` if it cannot be decoded.
        """
        value = decode(self.get_encoded(name))
        return default if value is None else value

    def get_number(self, name: str, default: int = 0) -> int:
        """Return the numeric field *name*. Raises `MalformedValue` if it is not a number."""
        value = self.get_value(name, default)
        if not isinstance(value, int):
            raise MalformedValue(f"{name} is {value!r}, not a number")
        return value

    def get_flag(self, name: str) -> bool:
        """Return the Boolean field *name*, or False if the frame omits it."""
        return bool(self.get_value(name, default=False))


class FrameReader:
    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take_protocol_header(self) -> bytes | None:
        """Remove and return the 8-byte protocol header, or return None until it has arrived."""
        return self._take_bytes(8) if len(self._buffer) >= 8 else None

    def read_frames(self) -> Iterator[Frame]:
        """Yield the complete frames. The iteration may be stopped and continued later.

        Heartbeats, which have no content, are skipped. Raises `MalformedFrame` if a frame is
        malformed.
        """
        while len(self._buffer) >= _FRAME_HEADER_SIZE:
            size = int.from_bytes(self._buffer[:4])
            offset = 4 * self._buffer[4]
            if not _FRAME_HEADER_SIZE <= offset <= size <= MAX_FRAME_SIZE:
                raise MalformedFrame(f"a frame of {size} bytes with a header of {offset}")
            if len(self._buffer) < size:
                return
            frame = self._take_bytes(size)
            if size > offset:
                yield _parse_frame(frame, offset)

    def _take_bytes(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def build_frame(
    performative: Performative, *, channel: int = 0, payload: bytes = b"", **fields: bytes
) -> bytes:
    """Return a frame with these encoded *fields*.

    Omitted fields are null, which means their default. Raises `ValueError` if the performative has
    no such field.
    """
    names = FIELDS[performative]
    values = [NULL] * (1 + max((names.index(name) for name in fields), default=-1))
    for name, value in fields.items():
        values[names.index(name)] = value
    body = encode_described(performative, encode_list(values)) + payload
    is_sasl = performative >= Performative.SASL_MECHANISMS
    size = _FRAME_HEADER_SIZE + len(body)
    return size.to_bytes(4) + bytes([2, is_sasl]) + channel.to_bytes(2) + body


def _parse_frame(frame: bytes, offset: int) -> Frame:
    body = frame[offset:]
    try:
        end = find_end(body)
        code, fields = split_described(body[:end])
        return Frame(
            performative=Performative(code),
            channel=int.from_bytes(frame[6:8]),
            fields=split_elements(fields),
            payload=body[end:],
        )
    except (MalformedValue, ValueError) as error:
        raise MalformedFrame(f"a frame cannot be read: {error}") from error
