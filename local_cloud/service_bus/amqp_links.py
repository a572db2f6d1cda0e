"""The links that a client may attach: requests and their replies, sending, receiving.

Each class is the broker's end of one link. None of them writes to the network: proton keeps the
frames until the server's turn has committed.
"""

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID, uuid4

from proton import (
    Condition,
    Delivery,
    Disposition,
    Link,
    Message,
    MessageException,
    Receiver,
    Sender,
    int32,
    symbol,
)

from local_cloud.service_bus.amqp_message import MalformedMessage, unpack, write_delivery
from local_cloud.service_bus.queue_messages import DeadLettering, MessageLockLost
from local_cloud.service_bus.queue_model import Queue

#: The limit of the Standard tier, in bytes.
MAX_MESSAGE_SIZE = 262_144
_SEND_CREDIT = 1000


#: Makes the reply to a request.
Answer = Callable[[Message], Message]


class BrokerLink(Protocol):
    """The broker's end of a link."""

    def on_delivery(self, delivery: Delivery) -> None:
        """Takes in a transfer, or the other side's settlement of one."""


class RequestLink:
    """Receives requests for a node and answers each on the reply link that belongs to it."""

    def __init__(self, link: Receiver, answer: Answer) -> None:
        self._link = link
        self._answer = answer
        #: Set when the client has attached it, None again when it has detached it.
        self.reply_link: Sender | None = None
        link.flow(_SEND_CREDIT)

    def on_delivery(self, delivery: Delivery) -> None:
        """Answers one request."""
        payload = _payload(self._link, delivery)
        if payload is None:
            return
        if self.reply_link is None:
            _reject(delivery, "amqp:precondition-failed", "no link is attached for the reply")
            return
        try:
            request = Message()
            request.decode(payload)
        except MessageException as error:
            _reject(delivery, "amqp:decode-error", str(error))
            return
        _settle(delivery, Disposition.ACCEPTED)
        _send(self.reply_link, uuid4(), self._answer(request).encode()).settle()
        _top_up(self._link)


class ReplyLink:
    """Carries the replies of a node; what the client says to them is of no interest."""

    def __init__(self, link: Sender) -> None:
        self.link = link

    def on_delivery(self, delivery: Delivery) -> None:
        """Forgets a reply that the client has settled."""
        delivery.settle()


class SendLink:
    """Takes messages into a queue."""

    def __init__(self, link: Receiver, queue: Queue) -> None:
        self._link = link
        self._queue = queue
        link.flow(_SEND_CREDIT)

    def on_delivery(self, delivery: Delivery) -> None:
        """Enqueues a message, or all messages of a batch, and accepts the transfer."""
        payload = _payload(self._link, delivery)
        if payload is None:
            return
        _top_up(self._link)
        if len(payload) > MAX_MESSAGE_SIZE:
            text = f"The message of {len(payload)} bytes is over {MAX_MESSAGE_SIZE} bytes."
            _reject(delivery, "amqp:link:message-size-exceeded", text)
            return
        try:
            messages = unpack(payload)
        except MalformedMessage as error:
            _reject(delivery, "amqp:decode-error", str(error))
            return
        for message in messages:
            self._queue.enqueue(message)
        _settle(delivery, Disposition.ACCEPTED)


class ReceiveLink:
    """Hands a queue's messages out and takes their settlement.

    The locks belong to the queue, not to the link: they outlive it until they expire.
    """

    def __init__(self, link: Sender, queue: Queue) -> None:
        self._link = link
        self.queue = queue
        self._deletes_on_delivery = link.remote_snd_settle_mode == Link.SND_SETTLED

    def deliver_one(self) -> bool:
        """Sends the next message if there is one and the client has given credit for it."""
        if self._link.credit <= 0:
            return False
        if self._deletes_on_delivery:
            message = self.queue.receive_and_delete()
            if message is None:
                return False
            _send(self._link, uuid4(), write_delivery(message)).settle()
            return True
        received = self.queue.receive()
        if received is None:
            return False
        message, lock = received
        delivery = _send(self._link, lock.token, write_delivery(message, lock))
        delivery.lock_token = lock.token
        return True

    def finish_drain(self) -> None:
        """Gives unused credit back, if the client has asked for it."""
        if self._link.drain_mode:
            self._link.drained()

    def on_delivery(self, delivery: Delivery) -> None:
        """Settles a message as the client says and confirms with the same outcome.

        Since 7.15 the SDK waits for that confirmation; a refusal is `rejected` with an error.
        """
        outcome = delivery.remote_state
        if not (outcome or delivery.settled):
            return
        try:
            is_settled = self._apply(outcome, delivery)
        except MessageLockLost as error:
            _reject(delivery, "com.microsoft:message-lock-lost", f"The lock is lost: {error}.")
            return
        if is_settled:
            _settle(delivery, outcome)
        else:
            text = f"the outcome {outcome!r} (deferral?) is not offered here"
            _reject(delivery, "amqp:not-implemented", text)

    def _apply(self, outcome: int, delivery: Delivery) -> bool:
        token: UUID = delivery.lock_token
        match outcome:
            case Disposition.ACCEPTED:
                self.queue.complete(token)
            case Disposition.REJECTED:
                self.queue.dead_letter(token, _dead_lettering(delivery.remote.condition))
            case Disposition.RELEASED:
                self.queue.release(token)
            case Disposition.MODIFIED if not delivery.remote.undeliverable:
                self.queue.abandon(token)
            case _:
                return False
        return True


def accept(link: Link) -> None:
    """Attaches *link* as the client asked; the SDK wants its source and target echoed."""
    link.source.copy(link.remote_source)
    link.target.copy(link.remote_target)
    link.snd_settle_mode = link.remote_snd_settle_mode
    link.rcv_settle_mode = link.remote_rcv_settle_mode
    if link.is_receiver:
        link.max_message_size = MAX_MESSAGE_SIZE
    link.open()


def refuse(link: Link, condition: str, description: str) -> None:
    """Detaches *link* with an error, after an attach without termini, as the standard has it."""
    link.source.type = link.source.UNSPECIFIED
    link.target.type = link.target.UNSPECIFIED
    link.open()
    link.condition = _error(condition, description)
    link.close()


def accept_any_token(request: Message) -> Message:
    """Answers a request to `$cbs`: every token is good, which is why only this machine gets in."""
    properties = {"status-code": int32(200), "status-description": "OK"}
    return Message(body=None, correlation_id=request.id, properties=properties)


def _payload(link: Receiver, delivery: Delivery) -> bytes | None:
    if delivery.aborted:
        delivery.settle()
        return None
    if not delivery.readable or delivery.partial:
        return None
    payload = link.recv(delivery.pending)
    link.advance()
    return bytes(payload or b"")


def _top_up(link: Receiver) -> None:
    if link.credit <= _SEND_CREDIT // 2:
        link.flow(_SEND_CREDIT - link.credit)


def _send(link: Sender, token: UUID, payload: bytes) -> Delivery:
    # The SDK reads the lock token from the tag, written as .NET writes a GUID.
    delivery = link.delivery(token.bytes_le)  # type: ignore[arg-type]  # bytes serve as well
    link.stream(payload)
    link.advance()
    return delivery


def _settle(delivery: Delivery, outcome: int) -> None:
    delivery.update(outcome)
    delivery.settle()


def _reject(delivery: Delivery, condition: str, description: str) -> None:
    delivery.local.condition = _error(condition, description)
    _settle(delivery, Disposition.REJECTED)


def _error(name: str, description: str) -> Condition:
    # The SDK reads all three fields of a rejection's error, and proton leaves out an empty one.
    info: dict[Any, Any] = {symbol("com.microsoft:origin"): "local"}
    return Condition(name, description, info)


def _dead_lettering(condition: Condition | None) -> DeadLettering:
    info = condition.info if condition else None
    texts = {str(name): str(text) for name, text in info.items()} if isinstance(info, dict) else {}
    return DeadLettering(
        reason=texts.get("DeadLetterReason"),
        description=texts.get("DeadLetterErrorDescription"),
    )
