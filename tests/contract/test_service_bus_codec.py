"""The parts of an AMQP message that the broker reads and writes, byte by byte."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proton import Message, symbol, timestamp

from local_cloud.service_bus.amqp_message import (
    MalformedMessage,
    encode,
    read_sent,
    unpack,
    write_delivery,
)
from local_cloud.service_bus.queue_messages import (
    DeadLettering,
    Lock,
    QueuedMessage,
    SentMessage,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def message(body: bytes = b"{}", **fields: Any) -> bytes:
    """A message as a client encodes it, with its body as data."""
    return bytes(Message(body, inferred=True, **fields).encode())


def delivered(payload: bytes, **facts: Any) -> tuple[bytes, Message]:
    queued = QueuedMessage(
        sequence_number=7,
        enqueued_sequence_number=7,
        sent=read_sent(payload),
        enqueued_at=NOW,
        **facts,
    )
    lock = Lock(sequence_number=7, token=uuid4(), locked_until=NOW + timedelta(minutes=1))
    encoded = write_delivery(queued, lock)
    decoded = Message()
    decoded.decode(encoded)
    return encoded, decoded


def test_the_broker_reads_what_it_must_know() -> None:
    """MessageId, time to live and schedule; all else is none of its business."""
    due = timestamp(1_800_000_000_000)
    payload = message(id="m-1", ttl=5, annotations={symbol("x-opt-scheduled-enqueue-time"): due})

    assert read_sent(payload) == SentMessage(
        payload=payload,
        message_id="m-1",
        time_to_live=timedelta(seconds=5),
        scheduled_for=datetime.fromtimestamp(1_800_000_000, UTC),
    )


def test_the_bare_message_is_passed_on_byte_for_byte() -> None:
    """Properties, application properties and body stand in the delivery as they were sent."""
    properties = {"attempt": 3, "ratio": 0.5, "none": None, "order": uuid4()}
    bare = message(id="m-1", subject="step", properties=properties)
    bare = bare[bare.index(b"\x00\x53\x73") :]

    encoded, _ = delivered(bare)

    assert encoded.endswith(bare)


def test_annotations_of_the_sender_stay_beside_those_of_the_broker() -> None:
    """Also where the delivery annotations come last, as the SDK sends them."""
    payload = message(annotations={symbol("x-opt-partition-key"): "p"})
    payload += b"\x00\x53\x71" + encode({symbol("mine"): "kept"})

    _, decoded = delivered(payload, delivery_count=2)

    annotations: Any = decoded.annotations
    assert annotations["x-opt-partition-key"] == "p"
    assert annotations["x-opt-sequence-number"] == 7
    instructions: Any = decoded.instructions
    assert instructions["mine"] == "kept"
    assert decoded.delivery_count == 2


def test_a_dead_letter_carries_its_reason_among_its_application_properties() -> None:
    """A reason that was not given is not written."""
    payload = message(properties={"k": "v"})
    dead = DeadLettering(reason="unreadable", description=None)

    _, decoded = delivered(payload, dead_lettering=dead)

    assert decoded.properties == {"k": "v", "DeadLetterReason": "unreadable"}


def test_a_transfer_whose_data_are_messages_is_a_batch() -> None:
    """Each of them is read for itself."""
    members = [message(id=name) for name in "ab"]
    batch = b"".join(b"\x00\x53\x75" + encode(member) for member in members)

    assert [sent.message_id for sent in unpack(batch)] == ["a", "b"]


def test_a_message_that_holds_a_message_is_no_batch_if_it_has_application_properties() -> None:
    """They tell a payload that happens to be AMQP from a batch."""
    inner = message(id="inner")
    payload = message(inner, id="outer", properties={"k": "v"})

    assert [sent.message_id for sent in unpack(payload)] == ["outer"]


def test_a_message_needs_no_body() -> None:
    """The SDK sends one without, and Service Bus takes it."""
    payload = bytes(Message(id="m-1").encode())
    payload = payload[: payload.index(b"\x00\x53\x77")] if b"\x00\x53\x77" in payload else payload

    assert [sent.message_id for sent in unpack(payload)] == ["m-1"]


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_malformed(payload: bytes) -> None:
    """Whatever a client sends, it is read or refused: nothing else is raised."""
    try:
        messages = unpack(payload)
    except MalformedMessage:
        return
    assert messages


@given(st.data())
def test_a_damaged_message_is_read_or_malformed(data: st.DataObject) -> None:
    """One byte changed or the end cut off: it is delivered as it is, or refused."""
    due = timestamp(1_800_000_000_000)
    whole = bytearray(
        message(
            id="m-1",
            ttl=5,
            properties={"k": "v"},
            annotations={symbol("x-opt-scheduled-enqueue-time"): due},
        )
    )
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    payload = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        messages = unpack(payload)
    except MalformedMessage:
        return

    for sent in messages:
        queued = QueuedMessage(
            sequence_number=1, enqueued_sequence_number=1, sent=sent, enqueued_at=NOW
        )
        assert write_delivery(queued)


def test_an_empty_transfer_is_malformed() -> None:
    """Nothing is not a message."""
    with pytest.raises(MalformedMessage):
        unpack(b"")
