from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.service_bus.amqp_frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    FIELDS,
    Frame,
    FrameReader,
    MalformedFrame,
    Performative,
    build_frame,
)
from local_cloud.service_bus.amqp_outcomes import ACCEPTED, AmqpOutcome, AmqpOutcomeCode
from local_cloud.service_bus.amqp_session import (
    Delivery,
    LinkEnd,
    ReceivingEnd,
    SendingEnd,
    Session,
)
from local_cloud.service_bus.amqp_types import (
    NULL,
    MalformedValue,
    encode_boolean,
    encode_list,
    encode_string,
    encode_uint,
)

LAST_SERIAL = 2**32 - 1
HANDLE = encode_uint(7)


def parse_frames(data: bytes) -> list[Frame]:
    reader = FrameReader()
    reader.feed(data)
    return list(reader.read_frames())


class Client:
    """Plays the client of one session."""

    def __init__(self, *, window: int = 100, max_frame_size: int = 65_536, first: int = 0) -> None:
        self._heard = bytearray()
        self.ends: list[LinkEnd] = []
        self._max_frame_size = max_frame_size
        begin = build_frame(
            Performative.BEGIN,
            next_outgoing_id=encode_uint(first),
            incoming_window=encode_uint(window),
        )
        self.session = Session(
            parse_frames(begin)[0], self._heard.extend, max_frame_size, self.ends.append
        )

    def send(self, performative: Performative, *, payload: bytes = b"", **fields: bytes) -> None:
        for frame in parse_frames(build_frame(performative, channel=0, payload=payload, **fields)):
            self.session.handle_frame(frame)

    def list_received_frames(self, performative: Performative) -> Sequence[Frame]:
        return [
            each for each in parse_frames(bytes(self._heard)) if each.performative is performative
        ]

    def open_receiver(self, *, credit: int) -> SendingEnd:
        self.send(
            Performative.ATTACH, name=encode_string("in"), handle=HANDLE, role=encode_boolean(True)
        )
        self.grant_credit(credit)
        [end] = self.ends
        assert isinstance(end, SendingEnd)
        return end

    def open_sender(self) -> tuple[ReceivingEnd, list[Delivery]]:
        self.send(
            Performative.ATTACH,
            name=encode_string("out"),
            handle=HANDLE,
            role=encode_boolean(False),
        )
        [end] = self.ends
        assert isinstance(end, ReceivingEnd)
        taken: list[Delivery] = []
        end.on_delivery = taken.append
        return end, taken

    def grant_credit(self, credit: int, **fields: bytes) -> None:
        self.send(
            Performative.FLOW,
            next_incoming_id=encode_uint(len(self.list_received_frames(Performative.TRANSFER))),
            incoming_window=encode_uint(100),
            handle=HANDLE,
            link_credit=encode_uint(credit),
            **fields,
        )

    def list_payloads(self) -> list[bytes]:
        parts: dict[int, bytes] = {}
        whole: list[bytes] = []
        for frame in self.list_received_frames(Performative.TRANSFER):
            delivery_id = frame.get_value("delivery_id")
            parts[delivery_id] = parts.get(delivery_id, b"") + frame.payload
            if not frame.get_value("more"):
                whole.append(parts[delivery_id])
        return whole


def test_message_is_split_into_frames_of_the_maximum_size() -> None:
    client = Client(max_frame_size=512)
    end = client.open_receiver(credit=1)

    end.deliver(b"tag", b"x" * 5000, is_settled=False)

    frames = client.list_received_frames(Performative.TRANSFER)
    sizes = [len(build_frame(f.performative, payload=f.payload)) for f in frames]
    assert len(frames) > 5000 // 512
    assert max(sizes) <= 512
    assert client.list_payloads() == [b"x" * 5000]


def test_session_waits_for_the_incoming_window_of_the_client() -> None:
    client = Client(window=2, max_frame_size=512)
    end = client.open_receiver(credit=10)
    client.send(Performative.FLOW, next_incoming_id=encode_uint(0), incoming_window=encode_uint(2))

    end.deliver(b"1", b"x" * 2000, is_settled=True)
    assert not end.can_deliver
    end.deliver(b"2", b"y", is_settled=True)

    assert len(client.list_received_frames(Performative.TRANSFER)) == 2
    while len(client.list_payloads()) < 2:
        sent = len(client.list_received_frames(Performative.TRANSFER))
        client.send(
            Performative.FLOW, next_incoming_id=encode_uint(sent), incoming_window=encode_uint(2)
        )
    assert client.list_payloads() == [b"x" * 2000, b"y"]
    assert end.can_deliver


def test_credit_is_counted_from_the_delivery_count_of_the_client() -> None:
    """A message that is on its way when the client grants credit uses up a part of this credit."""
    client = Client()
    end = client.open_receiver(credit=2)
    end.deliver(b"1", b"a", is_settled=True)

    client.grant_credit(2, delivery_count=encode_uint(0))
    assert end.credit == 1
    client.grant_credit(2, delivery_count=encode_uint(1))
    assert end.credit == 2


def test_drained_credit_is_removed_and_reported_to_the_client() -> None:
    client = Client()
    end = client.open_receiver(credit=5)
    for credit in (5, 0):
        client.grant_credit(credit, drain=encode_boolean(True))
        end.finish_drain()
        end.finish_drain()

    told = client.list_received_frames(Performative.FLOW)
    assert [(f.get_value("delivery_count"), f.get_value("link_credit")) for f in told] == [
        (5, 0),
        (5, 0),
    ]
    assert all(frame.get_value("drain") for frame in told)
    assert not end.can_deliver


def test_sequence_numbers_begin_again() -> None:
    client = Client(first=LAST_SERIAL)
    end, taken = client.open_sender()
    for delivery_id in (LAST_SERIAL, 0):
        client.send(
            Performative.TRANSFER,
            payload=b"x",
            handle=HANDLE,
            delivery_id=encode_uint(delivery_id),
        )
        end.settle(taken[-1], ACCEPTED)
    end.renew_credit(100)

    settled = [
        frame.get_value("first") for frame in client.list_received_frames(Performative.DISPOSITION)
    ]
    assert settled == [LAST_SERIAL, 0]
    assert client.list_received_frames(Performative.FLOW)[-1].get_value("next_incoming_id") == 1


def test_message_in_parts_is_joined_and_an_aborted_message_is_dropped() -> None:
    """A message may come in several frames, of which only the first names the delivery."""
    client = Client()
    _, taken = client.open_sender()

    def send_part(payload: bytes, **fields: bytes) -> None:
        client.send(Performative.TRANSFER, payload=payload, handle=HANDLE, **fields)

    send_part(b"lost", delivery_id=encode_uint(0), more=encode_boolean(True))
    send_part(b"", aborted=encode_boolean(True))
    send_part(
        b"a", delivery_id=encode_uint(1), message_format=encode_uint(5), more=encode_boolean(True)
    )
    send_part(b"b", more=encode_boolean(True))
    send_part(b"c")

    assert [(each.delivery_id, each.message_format, each.payload) for each in taken] == [
        (1, 5, b"abc")
    ]


@pytest.mark.parametrize(("first", "last", "settled"), [(0, 2, 3), (1, 1, 1), (2, 9, 1), (5, 6, 0)])
def test_disposition_settles_the_deliveries_of_its_range(
    first: int, last: int, settled: int
) -> None:
    client = Client()
    end = client.open_receiver(credit=10)
    asked: list[bytes] = []

    def answer(tag: bytes, outcome: AmqpOutcome) -> AmqpOutcome:
        asked.append(tag)
        return outcome

    end.on_outcome = answer
    for tag in (b"0", b"1", b"2"):
        end.deliver(tag, b"x", is_settled=False)
    for _ in range(2):  # settled is settled: a second one finds nothing
        client.send(
            Performative.DISPOSITION,
            role=encode_boolean(True),
            first=encode_uint(first),
            last=encode_uint(last),
            state=AmqpOutcome(code=AmqpOutcomeCode.RELEASED).encode(),
        )

    assert len(asked) == settled
    assert len(client.list_received_frames(Performative.DISPOSITION)) == settled


def test_frames_for_a_rejected_link_are_ignored() -> None:
    """A client may send frames before it learns that its link was rejected."""
    client = Client()
    end, taken = client.open_sender()
    client.session.reject_link(end, "amqp:not-found", "no such queue")

    client.send(Performative.TRANSFER, payload=b"x", handle=HANDLE, delivery_id=encode_uint(0))
    client.send(Performative.DETACH, handle=HANDLE, closed=encode_boolean(True))

    assert not taken
    assert len(client.list_received_frames(Performative.DETACH)) == 1


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_frames_are_found_at_any_break_of_the_stream(payloads: list[bytes], size: int) -> None:
    stream = b"".join(
        build_frame(Performative.TRANSFER, payload=payload, handle=HANDLE) + EMPTY_FRAME
        for payload in payloads
    )
    reader = FrameReader()
    frames: list[Frame] = []
    for start in range(0, len(stream), size):
        reader.feed(stream[start : start + size])
        frames += reader.read_frames()

    assert [frame.payload for frame in frames] == payloads


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_only_malformed_frame(content: bytes) -> None:
    for data in (content, (len(content) + 8).to_bytes(4) + b"\x02\x00\x00\x00" + content):
        try:
            parse_frames(data)
        except MalformedFrame:
            continue


values = st.one_of(
    st.just(NULL),
    st.booleans().map(encode_boolean),
    st.integers(0, LAST_SERIAL).map(encode_uint),
    st.text(max_size=5).map(encode_string),
    st.lists(st.just(encode_uint(1)), max_size=2).map(encode_list),
    st.just(AmqpOutcome(code=AmqpOutcomeCode.MODIFIED).encode()),
)


@given(
    st.sampled_from([p for p in Performative if Performative.ATTACH <= p <= Performative.DETACH]),
    st.data(),
)
def test_wrong_fields_raise_only_malformed_errors(
    performative: Performative, data: st.DataObject
) -> None:
    client = Client()
    client.open_receiver(credit=1).deliver(b"tag", b"x", is_settled=False)
    fields = data.draw(st.dictionaries(st.sampled_from(FIELDS[performative]), values))
    try:
        client.send(performative, **fields)
    except MalformedValue:
        return


def test_too_large_frame_is_rejected_by_its_size() -> None:
    """Read as a size, the first bytes of an HTTP request exceed the limit."""
    with pytest.raises(MalformedFrame):
        parse_frames(b"GET / HTTP/1.1\r\n")
    reader = FrameReader()
    reader.feed(AMQP_HEADER[:4])
    assert reader.take_protocol_header() is None
