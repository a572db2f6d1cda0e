from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Header, Message, Properties
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.service_bus.amqp_message import (
    MalformedMessage,
    build_delivery,
    parse_sent_message,
    split_batch,
    with_properties,
)
from local_cloud.service_bus.amqp_types import (
    encode_binary,
    encode_described,
    encode_map,
    encode_string,
    encode_symbol,
    split_elements,
)
from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    Lock,
    QueuedMessage,
    SentMessage,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 0x80013700
DUE = {"x-opt-scheduled-enqueue-time": {"TYPE": "TIMESTAMP", "VALUE": 1_800_000_000_000}}


def encode_message(
    body: bytes = b"{}", message_id: str | None = None, ttl: int | None = None, **sections: Any
) -> bytes:
    header = Header(None, None, ttl, None, None) if ttl else None
    properties = Properties(message_id, *[None] * 12) if message_id else None
    written = Message(header=header, properties=properties, data=[body], **sections)
    return bytes(encode_payload(bytearray(), written))


def encode_batch(*members: bytes) -> bytes:
    return b"".join(encode_described(0x75, encode_binary(member)) for member in members)


def deliver_and_decode(payload: bytes, **facts: Any) -> tuple[bytes, Message]:
    queued = QueuedMessage(
        sequence_number=7,
        enqueued_sequence_number=7,
        sent=parse_sent_message(payload),
        enqueued_at=NOW,
        **facts,
    )
    lock = Lock(sequence_number=7, token=uuid4(), locked_until=NOW + timedelta(minutes=1))
    encoded = build_delivery(queued, lock)
    return encoded, decode_payload(memoryview(encoded))


def test_broker_reads_message_id_time_to_live_and_schedule() -> None:
    payload = encode_message(message_id="m-1", ttl=5000, message_annotations=DUE)

    assert parse_sent_message(payload) == SentMessage(
        payload=payload,
        message_id="m-1",
        time_to_live=timedelta(seconds=5),
        scheduled_for=datetime.fromtimestamp(1_800_000_000, UTC),
    )


def test_the_bare_message_is_passed_on_byte_for_byte() -> None:
    properties = {"attempt": 3, "ratio": 0.5, "none": None, "order": uuid4()}
    bare = encode_message(message_id="m-1", application_properties=properties)

    encoded, _ = deliver_and_decode(bare)

    assert encoded.endswith(bare)


def test_annotations_of_the_sender_are_kept() -> None:
    payload = encode_message(
        message_annotations={"x-opt-partition-key": "p"}, delivery_annotations={"mine": "kept"}
    )

    _, decoded = deliver_and_decode(payload, delivery_count=2)

    annotations: Any = decoded.message_annotations
    assert annotations[b"x-opt-partition-key"] == b"p"
    assert annotations[b"x-opt-sequence-number"] == 7
    instructions: Any = decoded.delivery_annotations
    assert instructions[b"mine"] == b"kept"
    header: Any = decoded.header
    assert header.delivery_count == 2


def test_application_properties_of_a_dead_letter_contain_its_reason() -> None:
    payload = encode_message(application_properties={"k": "v"})
    dead = DeadLettering(reason="unreadable", description=None)

    _, decoded = deliver_and_decode(payload, dead_lettering=dead)

    assert decoded.application_properties == {b"k": b"v", b"DeadLetterReason": b"unreadable"}


def test_changed_properties_keep_the_encoding_of_the_others() -> None:
    kept = {encode_string("n"): b"\x54\x05", encode_string("s"): encode_symbol("x")}
    before, after = encode_described(0x73, b"\x45"), encode_described(0x75, encode_binary(b"body"))
    payload = (
        before
        + encode_described(0x74, encode_map(kept | {encode_string("c"): encode_string("old")}))
        + after
    )

    changed = with_properties(payload, {"c": encode_string("new"), "added": b"\x41"})

    written = encode_map(
        kept | {encode_string("c"): encode_string("new"), encode_string("added"): b"\x41"}
    )
    assert changed == before + encode_described(0x74, written) + after
    assert len(split_elements(written)) == 8


def test_properties_can_be_added_to_a_message_without_any() -> None:
    """Added properties precede the body, as the standard requires."""
    changed = with_properties(encode_batch(b"body"), {"k": encode_string("v")})

    assert changed == encode_described(
        0x74, encode_map({encode_string("k"): encode_string("v")})
    ) + encode_batch(b"body")


def test_transfer_in_batch_format_is_unpacked() -> None:
    members = [encode_message(message_id=name) for name in "ab"]

    assert [sent.message_id for sent in split_batch(encode_batch(*members), BATCH)] == ["a", "b"]


def test_message_whose_body_contains_messages_is_not_a_batch() -> None:
    """The format of the transfer decides whether it is a batch."""
    payload = encode_batch(encode_message(message_id="inner"))

    assert [sent.payload for sent in split_batch(payload)] == [payload]


def test_batch_with_other_content_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        split_batch(encode_batch(encode_message(), b"not a message"), BATCH)


def test_a_message_needs_no_body() -> None:
    """The SDK sends messages without a body, and Service Bus accepts them."""
    payload = bytes(encode_payload(bytearray(), Message(properties=Properties("m-1"))))

    assert [sent.message_id for sent in split_batch(payload)] == ["m-1"]


@given(st.binary(max_size=200), st.sampled_from([0, BATCH]))
def test_arbitrary_bytes_raise_only_malformed_errors(payload: bytes, message_format: int) -> None:
    try:
        messages = split_batch(payload, message_format)
    except MalformedMessage:
        return
    assert messages


@given(st.data())
def test_a_damaged_message_is_read_or_malformed(data: st.DataObject) -> None:
    whole = bytearray(
        encode_message(
            message_id="m-1",
            ttl=5000,
            application_properties={"k": "v"},
            message_annotations=DUE,
        )
    )
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    payload = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        messages = split_batch(payload)
    except MalformedMessage:
        return

    for sent in messages:
        queued = QueuedMessage(
            sequence_number=1, enqueued_sequence_number=1, sent=sent, enqueued_at=NOW
        )
        assert build_delivery(queued)


@pytest.mark.parametrize("message_format", [0, BATCH])
def test_an_empty_transfer_is_malformed(message_format: int) -> None:
    with pytest.raises(MalformedMessage):
        split_batch(b"", message_format)


def test_message_id_has_at_most_128_characters() -> None:
    assert parse_sent_message(encode_message(message_id="m" * 128)).message_id == "m" * 128
    with pytest.raises(MalformedMessage):
        parse_sent_message(encode_message(message_id="m" * 129))
