"""Parse and change the parts of an encoded AMQP 1.0 message that a broker may change.

An encoded message is a sequence of sections (AMQP 1.0, part 3, 3.2). On delivery, the broker renews
the header and the annotations, and adds a receiver's changes to the application properties. All
other sections are passed on byte for byte. Existing entries stay encoded, so that no type is lost.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from local_cloud.service_bus.amqp_types import (
    NULL,
    MalformedValue,
    decode,
    decode_bytes,
    encode_boolean,
    encode_described,
    encode_int32,
    encode_list,
    encode_long,
    encode_map,
    encode_string,
    encode_symbol,
    encode_timestamp,
    encode_uint,
    encode_uuid,
    find_end,
    split_described,
    split_elements,
    split_entries,
)
from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    Lock,
    MessageState,
    QueuedMessage,
    SentMessage,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH_FORMAT = 0x80013700
#: Of a MessageId, in characters (learn.microsoft.com, Service Bus quotas).
_LONGEST_ID = 128
_SCHEDULED_ENQUEUE_TIME = "x-opt-scheduled-enqueue-time"
_STATE_NUMBERS = {MessageState.ACTIVE: 0, MessageState.DEFERRED: 1, MessageState.SCHEDULED: 2}


class MalformedMessage(ValueError):
    """The bytes are not an AMQP 1.0 message."""


class _Code(IntEnum):
    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    MESSAGE_ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    code: _Code
    #: Encoded, without the descriptor.
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpRequest:
    #: Encoded, for the reply to be recognized by; null if there is none.
    message_id: bytes
    #: The application properties.
    properties: dict[Any, Any]
    #: Encoded; null if there is none.
    body: bytes


def parse_sent_message(payload: bytes) -> SentMessage:
    """Return a message with the members that the broker needs. Raises `MalformedMessage`."""
    message_id = time_to_live = scheduled_for = None
    for section in _split_sections(payload):
        try:
            match section.code:
                case _Code.HEADER:
                    time_to_live = decode(_split_header(section.value)[2])
                case _Code.PROPERTIES:
                    message_id = decode(next(iter(split_elements(section.value)), NULL))
                case _Code.MESSAGE_ANNOTATIONS:
                    annotations = split_entries(section.value)
                    scheduled_for = decode(annotations.get(_SCHEDULED_ENQUEUE_TIME, NULL))
                case _Code.APPLICATION_PROPERTIES | _Code.DELIVERY_ANNOTATIONS:
                    split_entries(section.value)  # it may be written anew, so it must be readable
        except MalformedValue as error:
            raise MalformedMessage(f"{section.code.name}: {error}") from error
    if message_id is not None and len(str(message_id)) > _LONGEST_ID:
        raise MalformedMessage(f"a MessageId has at most {_LONGEST_ID} characters")
    try:
        return SentMessage(
            payload=payload,
            message_id=None if message_id is None else str(message_id),
            time_to_live=None if time_to_live is None else timedelta(milliseconds=time_to_live),
            scheduled_for=None if scheduled_for is None else parse_timestamp(scheduled_for),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedMessage(f"a field has an impossible value: {error}") from error


def split_batch(payload: bytes, message_format: int = 0) -> list[SentMessage]:
    """Return the messages of a transfer: those of a batch, or the single message.

    The transfer's format identifies a batch, which is a message whose Data sections are messages.
    Raises `MalformedMessage`.
    """
    if message_format != _BATCH_FORMAT:
        return [parse_sent_message(payload)]
    try:
        return [
            parse_sent_message(decode_bytes(section.value))
            for section in _split_sections(payload)
            if section.code is _Code.DATA
        ]
    except MalformedValue as error:
        raise MalformedMessage(f"the batch cannot be read: {error}") from error


def parse_request(payload: bytes) -> AmqpRequest:
    """Parse a request to a node. Raises `MalformedMessage`."""
    sections = {section.code: section.value for section in _split_sections(payload)}
    try:
        return AmqpRequest(
            message_id=next(iter(split_elements(sections.get(_Code.PROPERTIES, NULL))), NULL),
            properties=_decode_map(sections.get(_Code.APPLICATION_PROPERTIES, NULL)),
            body=sections.get(_Code.VALUE, NULL),
        )
    except MalformedValue as error:
        raise MalformedMessage(f"the request cannot be read: {error}") from error


def build_reply(*, correlation_id: bytes, properties: Mapping[str, bytes], body: bytes) -> bytes:
    """Return the encoded reply to a request. All arguments are already encoded."""
    return b"".join(
        (
            encode_described(_Code.PROPERTIES, encode_list([*[NULL] * 5, correlation_id])),
            encode_described(_Code.APPLICATION_PROPERTIES, encode_map(_decode_keys(properties))),
            encode_described(_Code.VALUE, body),
        )
    )


def with_properties(payload: bytes, properties: Mapping[str, bytes]) -> bytes:
    """Return a message in which these encoded application properties are added or replaced."""
    parts = _group_sections(payload)
    known = parts.get(_Code.APPLICATION_PROPERTIES, [])
    merged = dict[str, bytes]()
    for value in known:
        merged |= split_entries(value)
    merged |= properties
    parts[_Code.APPLICATION_PROPERTIES] = [encode_map(_decode_keys(merged))]
    return _join_sections(parts)


def build_delivery(message: QueuedMessage, lock: Lock | None = None) -> bytes:
    """Return the bytes of *message* for a receiver, with the broker's header and annotations."""
    payload = message.sent.payload
    if message.dead_lettering is not None:
        payload = with_properties(payload, _build_reasons(message.dead_lettering))
    parts = _group_sections(payload)
    header = next(iter(parts.get(_Code.HEADER, [])), NULL)
    parts[_Code.HEADER] = [_build_renewed_header(header, message.delivery_count)]
    _annotate_part(parts, _Code.MESSAGE_ANNOTATIONS, _build_annotations(message, lock))
    if lock is not None:
        _annotate_part(
            parts, _Code.DELIVERY_ANNOTATIONS, {"x-opt-lock-token": encode_uuid(lock.token)}
        )
    return _join_sections(parts)


def parse_timestamp(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def encode_time(at: datetime) -> bytes:
    """Return *at* as an encoded AMQP timestamp: milliseconds since 1970."""
    return encode_timestamp((at - _EPOCH) // timedelta(milliseconds=1))


def _group_sections(payload: bytes) -> dict[_Code, list[bytes]]:
    parts: dict[_Code, list[bytes]] = {}
    for section in _split_sections(payload):
        parts.setdefault(section.code, []).append(section.value)
    return parts


def _join_sections(parts: Mapping[_Code, list[bytes]]) -> bytes:
    # The codes sort as the standard orders the sections; the SDK sends one of them out of place.
    return b"".join(
        encode_described(code, value) for code in sorted(parts) for value in parts[code]
    )


def _annotate_part(
    parts: dict[_Code, list[bytes]], code: _Code, marks: Mapping[str, bytes]
) -> None:
    annotations: dict[bytes, bytes] = {}
    for value in parts.get(code, []):
        encoded = split_elements(value)
        annotations |= dict(zip(encoded[::2], encoded[1::2], strict=True))
    parts[code] = [
        encode_map(annotations | {encode_symbol(name): value for name, value in marks.items()})
    ]


def _split_header(encoded: bytes) -> list[bytes]:
    header = [*split_elements(encoded), *[NULL] * 5][:5]
    time_to_live = decode(header[2])
    if not isinstance(time_to_live, int | None):
        raise MalformedValue(f"{time_to_live!r} is no time to live")
    return header


def _build_renewed_header(header: bytes, delivery_count: int) -> bytes:
    durable, priority, time_to_live, _, _ = _split_header(header)
    has_been_delivered = delivery_count > 0
    first_acquirer = encode_boolean(not has_been_delivered)
    return encode_list(
        [durable, priority, time_to_live, first_acquirer, encode_uint(delivery_count)]
    )


def _build_reasons(dead_lettering: DeadLettering) -> dict[str, bytes]:
    reasons = {
        "DeadLetterReason": dead_lettering.reason,
        "DeadLetterErrorDescription": dead_lettering.description,
    }
    return {name: encode_string(text) for name, text in reasons.items() if text is not None}


def _build_annotations(message: QueuedMessage, lock: Lock | None) -> dict[str, bytes]:
    marks = {
        "x-opt-enqueued-time": encode_time(message.enqueued_at),
        "x-opt-sequence-number": encode_long(message.sequence_number),
        "x-opt-enqueue-sequence-number": encode_long(message.enqueued_sequence_number),
        "x-opt-message-state": encode_int32(_STATE_NUMBERS[message.state]),
    }
    if lock is not None:
        marks["x-opt-locked-until"] = encode_time(lock.locked_until)
    return marks


def _decode_keys(properties: Mapping[Any, bytes]) -> dict[bytes, bytes]:
    return {encode_string(str(name)): value for name, value in properties.items()}


def _decode_map(encoded: bytes) -> dict[Any, Any]:
    return {key: decode(value) for key, value in split_entries(encoded).items()}


def _split_sections(encoded: bytes) -> Iterator[_Section]:
    position = 0
    try:
        while position < len(encoded):
            start, position = position, find_end(encoded, position)
            code, value = split_described(encoded[start:position])
            yield _Section(code=_Code(code), value=value)
    except ValueError as error:
        raise MalformedMessage(f"not an AMQP message at byte {position}: {error}") from error
    if position == 0:
        raise MalformedMessage("the message is empty")
