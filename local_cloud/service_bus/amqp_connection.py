"""Handle the connection of one client: protocol headers, sign-in, sessions, links."""

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from local_cloud.service_bus import management
from local_cloud.service_bus.amqp_frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    MAX_FRAME_SIZE,
    MIN_MAX_FRAME_SIZE,
    SASL_HEADER,
    Frame,
    FrameReader,
    MalformedFrame,
    Performative,
    build_frame,
)
from local_cloud.service_bus.amqp_links import (
    MAX_MESSAGE_SIZE,
    Answer,
    ReceiveLink,
    ReplyLink,
    RequestLink,
    SendLink,
    accept_any_token,
)
from local_cloud.service_bus.amqp_outcomes import encode_error
from local_cloud.service_bus.amqp_session import LinkEnd, ReceivingEnd, SendingEnd, Session
from local_cloud.service_bus.amqp_types import (
    NULL,
    MalformedValue,
    Symbol,
    decode,
    decode_bytes,
    encode_array,
    encode_string,
    encode_symbol,
    encode_ubyte,
    encode_uint,
    encode_ushort,
    split_described,
    split_elements,
    split_entries,
)
from local_cloud.service_bus.namespace import ClaimMissing, EntityNotFound, Namespace

_CBS_NODE = "$cbs"
_MANAGEMENT_SUFFIX = "/$management"
_SESSION_FILTER = "com.microsoft:session-filter"
_COORDINATOR = 0x30
#: How clients may sign in, without saying who they are. Azure's client for .NET insists on the
#: first; those for Python and JavaScript on the second.
_MECHANISMS = (Symbol("MSSBCBS"), Symbol("ANONYMOUS"))
_SASL_OK, _SASL_REFUSED = 0, 1

BrokerLink = SendLink | ReceiveLink | RequestLink | ReplyLink


class Turns(Protocol):
    """Ends each turn of the event loop: delivers messages, commits, then writes to the sockets."""

    def add_connection(self, connection: "AmqpConnection") -> None: ...

    def remove_connection(self, connection: "AmqpConnection") -> None: ...

    def request_turn_end(self) -> None:
        """Schedule the end of this turn. A repeated request has no further effect."""


class AmqpConnection(asyncio.Protocol):
    def __init__(self, namespace: Namespace, turns: Turns) -> None:
        self._namespace = namespace
        self._turns = turns
        self._reader = FrameReader()
        self._pending = bytearray()
        #: Reads on as far as it can: first a header, then the frames of its protocol.
        self._read: Callable[[], None] = self._read_header
        self._sessions: dict[int, Session] = {}
        self._links: dict[LinkEnd, BrokerLink] = {}
        self._max_frame_size = MIN_MAX_FRAME_SIZE
        self._heartbeat_seconds = math.inf
        self._written_at = 0.0
        self._is_over = False

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._turns.add_connection(self)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._reader.feed(data)
        try:
            self._read()
        except (MalformedFrame, MalformedValue) as error:
            self._close_connection("amqp:decode-error", str(error))
        self._turns.request_turn_end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """Remove the connection's links. Its messages stay locked until their locks expire."""
        self._turns.remove_connection(self)
        self._is_over = True
        self._sessions.clear()
        self._links.clear()

    # --- what the server calls

    def list_delivering_links(self) -> list[ReceiveLink | ReplyLink]:
        return [link for link in self._links.values() if isinstance(link, ReceiveLink | ReplyLink)]

    def compute_seconds_to_heartbeat(self, now: float) -> float:
        """Return the seconds until a heartbeat is due, or infinity if the client wants none."""
        return self._written_at + self._heartbeat_seconds - now

    def write(self, now: float) -> None:
        """Write the pending bytes, or a heartbeat if one is due. Closes an ended connection."""
        if not self._pending and self.compute_seconds_to_heartbeat(now) <= 0:
            self._pending += EMPTY_FRAME
        if self._pending:
            self._socket.write(bytes(self._pending))
            self._pending.clear()
            self._written_at = now
        if self._is_over:
            self._socket.close()

    def close(self) -> None:
        """Close the connection at once, even if the client does not read."""
        self._socket.abort()

    # --- how a connection begins and ends

    def _read_header(self) -> None:
        header = self._reader.take_protocol_header()
        if header is None:
            return
        if header == SASL_HEADER:
            self._pending += SASL_HEADER + build_frame(
                Performative.SASL_MECHANISMS,
                sasl_server_mechanisms=encode_array(
                    [encode_symbol(name) for name in _MECHANISMS], 0xA3
                ),
            )
            self._read = self._read_sign_in
        elif header == AMQP_HEADER:
            self._pending += AMQP_HEADER
            self._read = self._read_frames
        else:  # as the standard has it: say what is spoken here, and hang up
            self._pending += AMQP_HEADER
            self._is_over = True
            return
        self._read()

    def _read_sign_in(self) -> None:
        for frame in self._reader.read_frames():
            if frame.performative is not Performative.SASL_INIT:
                raise MalformedFrame(f"{frame.performative.name} in place of SASL_INIT")
            is_known = frame.get_value("mechanism") in _MECHANISMS
            code = encode_ubyte(_SASL_OK if is_known else _SASL_REFUSED)
            self._pending += build_frame(Performative.SASL_OUTCOME, code=code)
            self._is_over = not is_known
            self._read = self._read_header
            if is_known:
                self._read()
            return

    def _read_frames(self) -> None:
        for frame in self._reader.read_frames():
            match frame.performative:
                case Performative.OPEN:
                    self._open_connection(frame)
                case Performative.BEGIN:
                    self._sessions[frame.channel] = Session(
                        frame, self._pending.extend, self._max_frame_size, self._attach_link
                    )
                case Performative.END:
                    self._close_session(frame.channel)
                case Performative.CLOSE:
                    self._close_connection()
                    return
                case _:
                    self._handle_frame(frame)

    def _open_connection(self, frame: Frame) -> None:
        offered = frame.get_number("max_frame_size", MAX_FRAME_SIZE)
        self._max_frame_size = max(MIN_MAX_FRAME_SIZE, min(offered, MAX_FRAME_SIZE))
        idle_milliseconds = frame.get_number("idle_timeout")
        # Half of what the client bears, as the standard advises.
        self._heartbeat_seconds = idle_milliseconds / 2000 or math.inf
        self._pending += build_frame(
            Performative.OPEN,
            container_id=encode_string("local-service-bus"),
            max_frame_size=encode_uint(MAX_FRAME_SIZE),
            channel_max=encode_ushort(frame.get_number("channel_max", 0xFFFF)),
        )

    def _close_connection(self, condition: str | None = None, description: str = "") -> None:
        error = NULL if condition is None else encode_error(condition, description)
        self._pending += build_frame(Performative.CLOSE, error=error)
        self._is_over = True

    def _close_session(self, channel: int) -> None:
        session = self._sessions.pop(channel, None)
        if session is not None:
            self._remove_detached()
            self._pending += build_frame(Performative.END, channel=channel)

    def _handle_frame(self, frame: Frame) -> None:
        session = self._sessions.get(frame.channel)
        if session is None:
            raise MalformedFrame(f"{frame.performative.name} on channel {frame.channel}, not begun")
        session.handle_frame(frame)
        if frame.performative is Performative.DETACH:
            self._remove_detached()

    def _remove_detached(self) -> None:
        attached = {end for session in self._sessions.values() for end in session.links.values()}
        self._links = {end: link for end, link in self._links.items() if end in attached}
        for link in self._links.values():
            if isinstance(link, RequestLink) and link.replies not in self._links.values():
                link.replies = None

    # --- which link leads where

    def _attach_link(self, end: LinkEnd) -> None:
        try:
            self._attach_by_address(end)
        except EntityNotFound as error:
            end.session.reject_link(end, "amqp:not-found", str(error))
        except ClaimMissing as error:
            end.session.reject_link(end, "amqp:unauthorized-access", str(error))

    def _attach_by_address(self, end: LinkEnd) -> None:
        terminus = end.attach.get_encoded("source" if isinstance(end, SendingEnd) else "target")
        descriptor, fields = (0, NULL) if terminus == NULL else split_described(terminus)
        if descriptor == _COORDINATOR:
            text = "Transactions are not offered here."
            end.session.reject_link(end, "amqp:not-implemented", text)
            return
        node = _parse_node(split_elements(fields))
        if node == _CBS_NODE:
            self._attach_node(end, node, accept_any_token)
        elif node.endswith(_MANAGEMENT_SUFFIX):
            queue = self._namespace.get_queue(node.removesuffix(_MANAGEMENT_SUFFIX), "Listen")
            self._attach_node(end, node, partial(management.answer_request, queue))
        elif isinstance(end, SendingEnd):
            self._attach_receiver(end, node, split_elements(fields))
        else:
            self._attach_sender(end, node)

    def _attach_node(self, end: LinkEnd, node: str, answer: Answer) -> None:
        end.session.accept_link(end, MAX_MESSAGE_SIZE)
        if isinstance(end, SendingEnd):
            self._links[end] = ReplyLink(end, node)
        else:
            self._links[end] = RequestLink(end, node, answer)
        self._pair_links(end.session, node)

    def _pair_links(self, session: Session, node: str) -> None:
        """Assign a reply link to each request link of a node, in the order of their attachment.

        A request's reply-to only names the node, and the SDK's threads may attach several pairs in
        one session.
        """
        peers = [link for end, link in self._links.items() if end.session is session]
        requests = [each for each in peers if isinstance(each, RequestLink) and each.node == node]
        replies = [each for each in peers if isinstance(each, ReplyLink) and each.node == node]
        for request, reply in zip(requests, replies, strict=False):
            request.replies = reply

    def _attach_receiver(self, end: SendingEnd, node: str, source: list[bytes]) -> None:
        queue = self._namespace.get_queue(node, "Listen")
        filters = source[7] if len(source) > 7 else NULL
        if _SESSION_FILTER in split_entries(filters):
            end.session.reject_link(end, "amqp:not-allowed", "Sessions are not offered here.")
            return
        end.session.accept_link(end, MAX_MESSAGE_SIZE)
        self._links[end] = ReceiveLink(end, queue)

    def _attach_sender(self, end: ReceivingEnd, node: str) -> None:
        queue = self._namespace.get_queue(node, "Send")
        if queue.dead_letters is None:
            text = "Nothing can be sent to a dead-letter queue."
            end.session.reject_link(end, "amqp:not-allowed", text)
            return
        end.session.accept_link(end, MAX_MESSAGE_SIZE)
        self._links[end] = SendLink(end, queue)


def _parse_node(terminus: list[bytes]) -> str:
    """Return the node to which a link leads, in lower case. Clients also send whole URLs."""
    address = decode(terminus[0]) if terminus else None
    if address is None:
        return ""
    text = decode_bytes(terminus[0]).decode(errors="replace")
    return (urlsplit(text).path if "://" in text else text).strip("/").lower()
