"""Handle a session of an AMQP connection, with its links, windows, credit and deliveries.

The module implements the standard (part 2, "Transport"), and knows no queue: callbacks connect its
links with the broker. `send` only collects frames; they are written after the commit at the end of
the turn.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from local_cloud.service_bus.amqp_frames import MAX_FRAME_SIZE, Frame, Performative, build_frame
from local_cloud.service_bus.amqp_outcomes import AmqpOutcome, encode_error, parse_outcome
from local_cloud.service_bus.amqp_types import (
    NULL,
    Constructor,
    encode_binary,
    encode_boolean,
    encode_number,
    encode_uint,
    encode_ushort,
)

# What a client may send before it hears of us again; each grant of credit renews it.
_INCOMING_WINDOW = 2**31 - 1
# Sequence numbers of 32 bits begin again at 0 ("RFC 1982").
_SERIAL = 0xFFFF_FFFF
# What frame and transfer take of a frame, at most.
_TRANSFER_OVERHEAD = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    delivery_id: int
    message_format: int
    is_settled: bool
    payload: bytes


class ReceivingEnd:
    """The broker's end of a link on which the client sends messages."""

    def __init__(self, session: "Session", attach: Frame) -> None:
        self.session = session
        self.attach = attach
        #: What is done with a message; set before any credit is granted.
        self.on_delivery: Callable[[Delivery], None]
        self._handle = attach.get_encoded("handle")
        self._credit = 0
        self._delivery_count: int = attach.get_number("initial_delivery_count")
        self._first: Frame | None = None
        self._parts: list[bytes] = []

    def renew_credit(self, credit: int) -> None:
        """Let the client send *credit* more messages, if at least half of its credit is used."""
        if self._credit <= credit // 2:
            self._credit = credit
            self.session.send_flow(
                handle=self._handle,
                delivery_count=encode_uint(self._delivery_count),
                link_credit=encode_uint(credit),
            )

    def settle(self, delivery: Delivery, outcome: AmqpOutcome) -> None:
        """Send the outcome of a message to the client, unless the client sent it as settled."""
        if not delivery.is_settled:
            self.session.send(
                Performative.DISPOSITION,
                role=encode_boolean(True),
                first=encode_uint(delivery.delivery_id),
                last=encode_uint(delivery.delivery_id),
                settled=encode_boolean(True),
                state=outcome.encode(),
            )

    def handle_transfer(self, frame: Frame) -> None:
        first = self._first = self._first or frame
        self._parts.append(frame.payload)
        if frame.get_flag("aborted") or not frame.get_flag("more"):
            payload = b"".join(self._parts)
            self._first, self._parts = None, []
            self._credit -= 1
            self._delivery_count = (self._delivery_count + 1) & _SERIAL
            if not frame.get_flag("aborted"):
                self.on_delivery(
                    Delivery(
                        delivery_id=first.get_number("delivery_id"),
                        message_format=first.get_number("message_format"),
                        is_settled=frame.get_flag("settled") or first.get_flag("settled"),
                        payload=payload,
                    )
                )


class SendingEnd:
    """The broker's end of a link on which the client receives messages."""

    def __init__(self, session: "Session", attach: Frame) -> None:
        self.session = session
        self.attach = attach
        #: Called with the tag of a delivery and the client's outcome; returns the answer to that.
        self.on_outcome: Callable[[bytes, AmqpOutcome], AmqpOutcome] = lambda _, outcome: outcome
        self.credit = 0
        self._handle = attach.get_encoded("handle")
        self._delivery_count = 0
        self._must_drain = False

    @property
    def can_deliver(self) -> bool:
        return self.credit > 0 and self.session.has_room

    def deliver(self, tag: bytes, payload: bytes, *, is_settled: bool) -> None:
        """Send a message in as many frames as needed.

        `on_outcome` gets the client's outcome with the same *tag*.
        """
        self.credit -= 1
        self._delivery_count = (self._delivery_count + 1) & _SERIAL
        self.session.transfer(self, self._handle, tag, payload, is_settled=is_settled)

    def handle_flow(self, frame: Frame) -> None:
        granted_at = frame.get_number("delivery_count")
        used = (self._delivery_count - granted_at) & _SERIAL
        self.credit = max(0, frame.get_number("link_credit") - used)
        self._must_drain = frame.get_flag("drain")
        if frame.get_flag("echo") and not self._must_drain:
            self._send_flow()

    def finish_drain(self) -> None:
        """Return the unused credit if the client has asked for it."""
        if self._must_drain:
            self._must_drain = False
            self._delivery_count = (self._delivery_count + self.credit) & _SERIAL
            self.credit = 0
            self._send_flow(drain=encode_boolean(True))

    def _send_flow(self, **more: bytes) -> None:
        self.session.send_flow(
            handle=self._handle,
            delivery_count=encode_uint(self._delivery_count),
            link_credit=encode_uint(self.credit),
            available=encode_uint(0),
            **more,
        )


LinkEnd = ReceivingEnd | SendingEnd


class Session:
    """The broker's end of a session. Channel and handles have the client's numbers."""

    def __init__(
        self,
        begin: Frame,
        write: Callable[[bytes], None],
        max_frame_size: int,
        on_attach: Callable[[LinkEnd], None],
    ) -> None:
        self._channel = begin.channel
        self._write = write
        self._payload_size = min(max_frame_size, MAX_FRAME_SIZE) - _TRANSFER_OVERHEAD
        self._on_attach = on_attach
        #: The ends of its links, by the handle of the client.
        self.links: dict[int, LinkEnd] = {}
        self._next_incoming_id: int = begin.get_number("next_outgoing_id")
        self._next_outgoing_id = 0
        self._next_delivery_id = 0
        self._client_window: int = begin.get_number("incoming_window")
        self._unsettled: dict[int, tuple[SendingEnd, bytes]] = {}
        # Transfers that the client's window has no room for.
        self._waiting: deque[bytes] = deque()
        self.send(
            Performative.BEGIN,
            remote_channel=encode_ushort(begin.channel),
            next_outgoing_id=encode_uint(self._next_outgoing_id),
            incoming_window=encode_uint(_INCOMING_WINDOW),
            outgoing_window=encode_uint(_INCOMING_WINDOW),
            handle_max=encode_uint(_SERIAL),
        )

    # --- what the ends of links ask for

    @property
    def has_room(self) -> bool:
        return self._client_window > 0 and not self._waiting

    def send(self, performative: Performative, *, payload: bytes = b"", **fields: bytes) -> None:
        self._write(build_frame(performative, channel=self._channel, payload=payload, **fields))

    def send_flow(self, **fields: bytes) -> None:
        """Send the state of the session, and of the link that the *fields* describe."""
        self.send(
            Performative.FLOW,
            next_incoming_id=encode_uint(self._next_incoming_id),
            incoming_window=encode_uint(_INCOMING_WINDOW),
            next_outgoing_id=encode_uint(self._next_outgoing_id),
            outgoing_window=encode_uint(_INCOMING_WINDOW),
            **fields,
        )

    def transfer(
        self, end: SendingEnd, handle: bytes, tag: bytes, payload: bytes, *, is_settled: bool
    ) -> None:
        """Send a message as far as the client's window allows.

        The rest follows when the window opens.
        """
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) & _SERIAL
        if not is_settled:
            self._unsettled[delivery_id] = end, tag
        for start in range(0, max(len(payload), 1), self._payload_size):
            part = payload[start : start + self._payload_size]
            self._waiting.append(
                build_frame(
                    Performative.TRANSFER,
                    channel=self._channel,
                    payload=part,
                    handle=handle,
                    delivery_id=encode_uint(delivery_id),
                    delivery_tag=encode_binary(tag),
                    message_format=encode_uint(0),
                    settled=encode_boolean(is_settled),
                    more=encode_boolean(start + len(part) < len(payload)),
                )
            )
        self._send_waiting()

    def accept_link(self, end: LinkEnd, max_message_size: int) -> None:
        """Accept the link that a client attaches. *max_message_size* is in bytes."""
        attach = end.attach
        echoed = ("snd_settle_mode", "rcv_settle_mode", "source", "target")
        self._send_attach(
            end,
            **{name: attach.get_encoded(name) for name in echoed},
            max_message_size=encode_number(Constructor.ULONG, max_message_size),
        )

    def reject_link(self, end: LinkEnd, condition: str, description: str) -> None:
        """Reject the link that a client attaches: attach it without source and target, then detach.

        The standard requires this. Later frames of the link are ignored.
        """
        self.links.pop(end.attach.get_number("handle"), None)
        self._send_attach(end, source=NULL, target=NULL)
        self.send(
            Performative.DETACH,
            handle=end.attach.get_encoded("handle"),
            closed=encode_boolean(True),
            error=encode_error(condition, description),
        )

    # --- what the connection has read

    def handle_frame(self, frame: Frame) -> None:
        """Handle a frame of this session, and ignore one for an unknown link.

        Raises `MalformedValue`. A link is unknown if it was just rejected or detached.
        """
        match frame.performative:
            case Performative.ATTACH:
                self._attach_link(frame)
            case Performative.FLOW:
                self._handle_flow(frame)
            case Performative.TRANSFER:
                self._next_incoming_id = (self._next_incoming_id + 1) & _SERIAL
                end = self.links.get(frame.get_number("handle"))
                if isinstance(end, ReceivingEnd):
                    end.handle_transfer(frame)
            case Performative.DISPOSITION:
                self._handle_disposition(frame)
            case Performative.DETACH:
                self._detach_link(frame)

    def _attach_link(self, frame: Frame) -> None:
        kind = SendingEnd if frame.get_flag("role") else ReceivingEnd
        end = self.links[frame.get_number("handle")] = kind(self, frame)
        self._on_attach(end)

    def _detach_link(self, frame: Frame) -> None:
        end = self.links.pop(frame.get_number("handle"), None)
        if end is None:
            return
        self._unsettled = {
            delivery_id: (its_end, tag)
            for delivery_id, (its_end, tag) in self._unsettled.items()
            if its_end is not end
        }
        self.send(
            Performative.DETACH,
            handle=frame.get_encoded("handle"),
            closed=frame.get_encoded("closed"),
        )

    def _handle_flow(self, frame: Frame) -> None:
        known_to_client = frame.get_number("next_incoming_id")
        used = (self._next_outgoing_id - known_to_client) & _SERIAL
        self._client_window = frame.get_number("incoming_window") - used
        self._send_waiting()
        end = self.links.get(frame.get_number("handle", -1))
        if isinstance(end, SendingEnd):
            end.handle_flow(frame)

    def _send_waiting(self) -> None:
        while self._waiting and self._client_window > 0:
            self._write(self._waiting.popleft())
            self._client_window -= 1
            self._next_outgoing_id = (self._next_outgoing_id + 1) & _SERIAL

    def _handle_disposition(self, frame: Frame) -> None:
        outcome = parse_outcome(frame.get_encoded("state"))
        if not frame.get_flag("role") or outcome is None:
            return  # the client's word on its own messages, or none on ours: the locks stay
        for delivery_id in list(self._list_deliveries(frame)):
            end, tag = self._unsettled.pop(delivery_id)
            answer = end.on_outcome(tag, outcome)
            if not frame.get_flag("settled"):
                self.send(
                    Performative.DISPOSITION,
                    role=encode_boolean(False),
                    first=encode_uint(delivery_id),
                    last=encode_uint(delivery_id),
                    settled=encode_boolean(True),
                    state=answer.encode(),
                )

    def _list_deliveries(self, frame: Frame) -> Iterator[int]:
        first = frame.get_number("first")
        length = (frame.get_number("last", first) - first) & _SERIAL
        if length == 0:
            return iter([first] if first in self._unsettled else [])
        return (each for each in self._unsettled if (each - first) & _SERIAL <= length)

    def _send_attach(self, end: LinkEnd, **fields: bytes) -> None:
        is_sender = isinstance(end, SendingEnd)
        if is_sender:
            fields["initial_delivery_count"] = encode_uint(0)
        self.send(
            Performative.ATTACH,
            name=end.attach.get_encoded("name"),
            handle=end.attach.get_encoded("handle"),
            role=encode_boolean(not is_sender),
            **fields,
        )
