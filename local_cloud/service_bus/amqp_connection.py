"""One client's connection: proton's protocol engine between a socket and the broker's links."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from proton import (
    Collector,
    Connection,
    Delivery,
    Link,
    Receiver,
    Sender,
    Session,
    Terminus,
    Transport,
)

from local_cloud.service_bus import management
from local_cloud.service_bus.amqp_links import (
    Answer,
    BrokerLink,
    ReceiveLink,
    ReplyLink,
    RequestLink,
    SendLink,
    accept,
    accept_any_token,
    refuse,
)
from local_cloud.service_bus.namespace import EntityNotFound, Namespace

_CBS_NODE = "$cbs"
_MANAGEMENT_SUFFIX = "/$management"
_SESSION_FILTER = "com.microsoft:session-filter"
_MAX_FRAME_SIZE = 65_536


class Turns(Protocol):
    """Ends each turn of the event loop with deliveries, a commit, and only then the writing."""

    def connection_opened(self, connection: "AmqpConnection") -> None:
        """Counts *connection* in."""

    def connection_closed(self, connection: "AmqpConnection") -> None:
        """Counts *connection* out."""

    def end_turn_soon(self) -> None:
        """Asks for the end of the turn; more than once is as good as once."""


class AmqpConnection(asyncio.Protocol):
    """The broker's side of an AMQP connection."""

    def __init__(self, namespace: Namespace, turns: Turns) -> None:
        self._namespace = namespace
        self._turns = turns
        self._links: dict[Link, BrokerLink] = {}
        self._collector = Collector()
        self._connection = Connection()
        self._connection.collect(self._collector)
        self._engine = Transport(Transport.SERVER)
        self._engine.max_frame_size = _MAX_FRAME_SIZE
        self._engine.sasl().allowed_mechs("ANONYMOUS")
        self._engine.require_auth(False)
        self._engine.bind(self._connection)
        #: What is done on an event, by its name; each is called with what the event is about.
        self._handlers: dict[str, Callable[[Any], None]] = {
            "on_connection_remote_open": self._open_connection,
            "on_connection_remote_close": Connection.close,
            "on_session_remote_open": Session.open,
            "on_session_remote_close": self._close_session,
            "on_link_remote_open": self._attach,
            "on_link_remote_close": self._detach,
            "on_link_remote_detach": self._detach,
            "on_delivery": self._take_delivery,
        }

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the socket."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._turns.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        """Hands received bytes to the engine, and what it makes of them to the links."""
        remaining = memoryview(data)
        while remaining:
            capacity = self._engine.capacity()
            if capacity <= 0:  # the engine has closed: a protocol error, which it tells the client
                break
            self._engine.push(bytes(remaining[:capacity]))
            remaining = remaining[capacity:]
            self._dispatch()
        self._turns.end_turn_soon()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """Forgets the links; the locks of their messages stay until they expire."""
        self._turns.connection_closed(self)
        self._links.clear()
        self._handlers.clear()
        self._engine.unbind()
        self._collector.release()

    # --- what the server calls

    def receive_links(self) -> list[ReceiveLink]:
        """Returns the links that hand messages out."""
        return [link for link in self._links.values() if isinstance(link, ReceiveLink)]

    def write(self, now: float) -> None:
        """Writes what the engine holds; *now* is monotonic, in seconds, for heartbeats."""
        self._engine.tick(now)
        while (pending := self._engine.pending()) > 0:
            self._socket.write(self._engine.peek(pending) or b"")
            self._engine.pop(pending)
        self._dispatch()
        if pending < 0:
            self._socket.close()

    def close(self) -> None:
        """Drops the connection at once, whether or not the client still reads."""
        self._socket.abort()

    # --- what the engine reports

    def _dispatch(self) -> None:
        while (event := self._collector.peek()) is not None:
            handler = self._handlers.get(event.type.method)
            if handler is not None:
                handler(event.context)
            self._collector.pop()

    def _open_connection(self, connection: Connection) -> None:
        connection.container = "local-service-bus"
        connection.open()

    def _close_session(self, session: Session) -> None:
        for link in [link for link in self._links if link.session == session]:
            self._forget(link)
        session.close()
        session.free()

    def _detach(self, link: Link) -> None:
        self._forget(link)
        link.close()
        link.free()

    def _forget(self, link: Link) -> None:
        self._links.pop(link, None)
        for peer in self._links.values():
            if isinstance(peer, RequestLink) and peer.reply_link == link:
                peer.reply_link = None

    def _take_delivery(self, delivery: Delivery) -> None:
        link = self._links.get(delivery.link)
        if link is not None:
            link.on_delivery(delivery)

    def _attach(self, link: Sender | Receiver) -> None:
        if link.remote_target.type == Terminus.COORDINATOR:
            refuse(link, "amqp:not-implemented", "Transactions are not offered here.")
            return
        node = _node_of(link)
        try:
            if node == _CBS_NODE:
                self._attach_node(link, node, accept_any_token)
            elif node.endswith(_MANAGEMENT_SUFFIX):
                queue = self._namespace.queue(node.removesuffix(_MANAGEMENT_SUFFIX))
                self._attach_node(link, node, partial(management.answer, queue))
            elif isinstance(link, Sender):
                self._attach_receiver(link, node)
            else:
                self._attach_sender(link, node)
        except EntityNotFound as error:
            refuse(link, "amqp:not-found", str(error))

    def _attach_node(self, link: Sender | Receiver, node: str, answer: Answer) -> None:
        accept(link)
        if isinstance(link, Sender):
            self._links[link] = ReplyLink(link)
        else:
            self._links[link] = RequestLink(link, answer)
        self._pair(link.session, node)

    def _pair(self, session: Session, node: str) -> None:
        """Gives each request link of a node its reply link.

        The reply-to of a request is the node, and the SDK's threads may attach several pairs in
        one session; the order in which they are attached tells which links belong together.
        """
        peers = [
            peer
            for link, peer in self._links.items()
            if link.session == session and _node_of(link) == node
        ]
        requests = [peer for peer in peers if isinstance(peer, RequestLink)]
        replies = [peer for peer in peers if isinstance(peer, ReplyLink)]
        for request, reply in zip(requests, replies, strict=False):
            request.reply_link = reply.link

    def _attach_receiver(self, link: Sender, node: str) -> None:
        queue = self._namespace.queue(node)
        filters = link.remote_source.filter
        filters.rewind()
        wanted = filters.get_object() if filters.next() else None
        if isinstance(wanted, dict) and _SESSION_FILTER in wanted:
            refuse(link, "amqp:not-allowed", "Sessions are not offered here.")
            return
        accept(link)
        self._links[link] = ReceiveLink(link, queue)

    def _attach_sender(self, link: Receiver, node: str) -> None:
        queue = self._namespace.queue(node)
        if queue.dead_letters is None:
            refuse(link, "amqp:not-allowed", "Nothing can be sent to a dead-letter queue.")
            return
        accept(link)
        self._links[link] = SendLink(link, queue)


def _node_of(link: Link) -> str:
    """Returns the node that a link is for: clients send whole URLs, and in any case."""
    terminus = link.remote_source if isinstance(link, Sender) else link.remote_target
    address = terminus.address or ""
    return (urlsplit(address).path if "://" in address else address).strip("/").lower()
