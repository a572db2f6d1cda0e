"""Reads and writes the few parts of an encoded AMQP 1.0 message that a broker may touch.

An encoded message is a row of sections (AMQP 1.0, part 3, 3.2). The broker reads some of them,
renews the header and the message annotations on delivery, adds two application properties to a
dead letter, and hands the rest on byte for byte.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from proton import Data, DataException, int32, symbol, timestamp, ubyte, uint

from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    Lock,
    MessageState,
    QueuedMessage,
    SentMessage,
)
from local_cloud.service_bus.queue_model import state_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEDULED_ENQUEUE_TIME = symbol("x-opt-scheduled-enqueue-time")
_STATE_NUMBERS = {MessageState.ACTIVE: 0, MessageState.SCHEDULED: 2}


class MalformedMessage(ValueError):
    """The bytes are not an AMQP 1.0 message."""


class _Code(IntEnum):
    """The descriptors of the sections."""

    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    MESSAGE_ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


_BODY = {_Code.DATA, _Code.SEQUENCE, _Code.VALUE}
# Bytes after a constructor, by its upper half (AMQP 1.0, part 1, 1.2).
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZED_BY_ONE_BYTE = {0xA, 0xC, 0xE}
_SIZED_BY_FOUR_BYTES = {0xB, 0xD, 0xF}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    code: _Code
    #: Descriptor and value.
    encoded: bytes
    #: The value alone.
    value: bytes


def read_sent(payload: bytes) -> SentMessage:
    """Returns *payload* with what the broker must know of it. Raises `MalformedMessage`."""
    header: list[Any] = []
    annotations: dict[str, Any] = {}
    properties: list[Any] = []
    for section in _sections(payload):
        match section.code:
            case _Code.HEADER:
                header = _list(section)
            case _Code.MESSAGE_ANNOTATIONS:
                annotations = _map(section)
            case _Code.PROPERTIES:
                properties = _list(section)
            case _Code.APPLICATION_PROPERTIES | _Code.DELIVERY_ANNOTATIONS:
                _map(section)  # it will be written anew, so it must be readable
    message_id = properties[0] if properties else None
    scheduled_for = annotations.get(_SCHEDULED_ENQUEUE_TIME)
    try:
        _, _, time_to_live, *_ = _renewed_header(header, delivery_count=0)
        return SentMessage(
            payload=payload,
            message_id=None if message_id is None else str(message_id),
            time_to_live=None if time_to_live is None else timedelta(milliseconds=time_to_live),
            scheduled_for=None if scheduled_for is None else moment(scheduled_for),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedMessage(f"a field has an impossible value: {error}") from error


def unpack(payload: bytes) -> list[SentMessage]:
    """Returns the messages in a transfer: those of a batch, or the one message that it is.

    A batch is a message whose Data sections are messages. Its message-format says so
    (0x80013700), but proton keeps that to itself; so a transfer without application properties,
    all of whose Data sections parse as complete messages, is taken for a batch.
    Raises `MalformedMessage`.
    """
    sections = list(_sections(payload))
    bodies = [section for section in sections if section.code in _BODY]
    may_be_batch = all(section.code is _Code.DATA for section in bodies) and not any(
        section.code is _Code.APPLICATION_PROPERTIES for section in sections
    )
    if bodies and may_be_batch:
        try:
            return [read_sent(_binary(section)) for section in bodies]
        except MalformedMessage:
            pass  # the Data sections hold something else: it is a plain message
    return [read_sent(payload)]


def write_delivery(message: QueuedMessage, lock: Lock | None = None) -> bytes:
    """Returns *message* as a receiver gets it: the sender's bytes with the broker's marks."""
    parts: dict[_Code, bytes] = {}
    header: list[Any] = []
    renewed: dict[_Code, Any] = {_Code.DELIVERY_ANNOTATIONS: {}, _Code.MESSAGE_ANNOTATIONS: {}}
    if message.dead_lettering is not None:
        renewed[_Code.APPLICATION_PROPERTIES] = {}
    for section in _sections(message.sent.payload):
        if section.code is _Code.HEADER:
            header = _list(section)
        elif section.code in renewed:
            renewed[section.code] = _map(section)
        else:
            parts[section.code] = parts.get(section.code, b"") + section.encoded
    renewed[_Code.MESSAGE_ANNOTATIONS] |= _marks(message, lock)
    if lock is not None:
        renewed[_Code.DELIVERY_ANNOTATIONS][symbol("x-opt-lock-token")] = lock.token
    if message.dead_lettering is not None:
        renewed[_Code.APPLICATION_PROPERTIES] |= _reasons(message.dead_lettering)
    parts[_Code.HEADER] = _described(_Code.HEADER, _renewed_header(header, message.delivery_count))
    parts |= {code: _described(code, entries) for code, entries in renewed.items() if entries}
    # The codes sort as the standard orders the sections; the SDK sends one of them out of place.
    return b"".join(parts[code] for code in sorted(parts))


def moment(milliseconds: int) -> datetime:
    """Returns the time that an AMQP timestamp stands for."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def amqp_timestamp(at: datetime) -> timestamp:
    """Returns *at* as an AMQP timestamp: milliseconds since 1970."""
    return timestamp((at - _EPOCH) // timedelta(milliseconds=1))


def _renewed_header(header: list[Any], delivery_count: int) -> list[Any]:
    durable, priority, time_to_live, *_ = [*header, None, None, None]
    has_been_delivered = delivery_count > 0
    return [
        durable,
        None if priority is None else ubyte(priority),
        None if time_to_live is None else uint(time_to_live),
        not has_been_delivered,
        uint(delivery_count),
    ]


def _reasons(dead_lettering: DeadLettering) -> dict[str, str]:
    reasons = {
        "DeadLetterReason": dead_lettering.reason,
        "DeadLetterErrorDescription": dead_lettering.description,
    }
    return {name: text for name, text in reasons.items() if text is not None}


def _marks(message: QueuedMessage, lock: Lock | None) -> dict[Any, Any]:
    marks: dict[Any, Any] = {
        symbol("x-opt-enqueued-time"): amqp_timestamp(message.enqueued_at),
        symbol("x-opt-sequence-number"): message.sequence_number,
        symbol("x-opt-enqueue-sequence-number"): message.enqueued_sequence_number,
        symbol("x-opt-message-state"): int32(_STATE_NUMBERS[state_of(message)]),
    }
    if lock is not None:
        marks[symbol("x-opt-locked-until")] = amqp_timestamp(lock.locked_until)
    return marks


def _sections(encoded: bytes) -> Iterator[_Section]:
    position = 0
    try:
        while position < len(encoded):
            start = position
            code, value_start = _descriptor(encoded, start)
            position = _end_of_value(encoded, value_start)
            yield _Section(
                code=code,
                encoded=encoded[start:position],
                value=encoded[value_start:position],
            )
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise MalformedMessage(f"not an AMQP message at byte {position}") from error
    if position == 0:
        raise MalformedMessage("the message is empty")


def _descriptor(encoded: bytes, start: int) -> tuple[_Code, int]:
    if encoded[start] != 0x00:
        raise ValueError("a section starts with a descriptor")
    constructor = encoded[start + 1]
    if constructor == 0x53:
        return _Code(encoded[start + 2]), start + 3
    if constructor == 0x80:
        return _Code(int.from_bytes(encoded[start + 2 : start + 10])), start + 10
    raise ValueError("the descriptor of a section is a number")


def _end_of_value(encoded: bytes, start: int) -> int:
    constructor = encoded[start]
    if constructor == 0x00:  # a described value: its descriptor, then itself
        return _end_of_value(encoded, _end_of_value(encoded, start + 1))
    kind = constructor >> 4
    if kind in _SIZED_BY_ONE_BYTE:
        end = start + 2 + encoded[start + 1]
    elif kind in _SIZED_BY_FOUR_BYTES:
        end = start + 5 + int(struct.unpack_from(">I", encoded, start + 1)[0])
    else:
        end = start + 1 + _FIXED_WIDTHS[kind]
    if end > len(encoded):
        raise ValueError("the value is cut off")
    return end


def _decoded(encoded: bytes) -> Any:
    data = Data()
    try:
        data.decode(encoded)
        data.rewind()
        data.next()
        return _owned(data.get_object())
    except (DataException, UnicodeDecodeError, TypeError) as error:
        raise MalformedMessage("a value cannot be decoded") from error


def _owned(value: Any) -> Any:
    """Copies binaries, which proton leaves in memory that goes with the `Data`."""
    match value:
        case memoryview():
            return bytes(value)
        case dict():
            return {_owned(key): _owned(item) for key, item in value.items()}
        case list():
            return [_owned(item) for item in value]
        case _:
            return value


def _binary(section: _Section) -> bytes:
    has_short_size = section.value[0] >> 4 in _SIZED_BY_ONE_BYTE
    return section.value[2:] if has_short_size else section.value[5:]


def _list(section: _Section) -> list[Any]:
    value = _decoded(section.value)
    if not isinstance(value, list):
        raise MalformedMessage(f"{section.code.name} is not a list")
    return value


def _map(section: _Section) -> dict[Any, Any]:
    value = _decoded(section.value)
    if not isinstance(value, dict):
        raise MalformedMessage(f"{section.code.name} is not a map")
    return value


def encode(value: Any) -> bytes:
    """Returns *value* as an AMQP value."""
    data = Data()
    data.put_object(value)
    return bytes(data.encode())


def _described(code: _Code, value: Any) -> bytes:
    return bytes((0x00, 0x53, code)) + encode(value)
