"""What the links are for that a client may attach: requests and replies, sending, receiving."""

from collections import deque
from collections.abc import Callable
from uuid import UUID, uuid4

from local_cloud.service_bus.amqp_message import (
    AmqpRequest,
    MalformedMessage,
    read_request,
    unpack,
    with_properties,
    write_delivery,
    write_message,
)
from local_cloud.service_bus.amqp_outcomes import (
    ACCEPTED,
    AmqpOutcome,
    AmqpOutcomeCode,
    build_rejected_outcome,
)
from local_cloud.service_bus.amqp_session import Delivery, ReceivingEnd, SendingEnd
from local_cloud.service_bus.amqp_types import (
    NULL,
    decode,
    described_value,
    elements,
    entries,
    int32,
    string,
    text,
)
from local_cloud.service_bus.queue_messages import Amendment, DeadLettering, MessageLockLost
from local_cloud.service_bus.queue_model import Queue

#: The limit of the Standard tier, in bytes.
MAX_MESSAGE_SIZE = 262_144
_SEND_CREDIT = 1000
_SETTLED = 1

#: Makes the reply to a request, encoded.
Answer = Callable[[AmqpRequest], bytes]


class RequestLink:
    """Receives requests for a node and answers each on the reply link that belongs to it."""

    def __init__(self, end: ReceivingEnd, node: str, answer: Answer) -> None:
        self.node = node
        #: Set when the client has attached it, None again when it has detached it.
        self.replies: ReplyLink | None = None
        self._end = end
        self._answer = answer
        end.on_delivery = self._take
        end.keep_credit(_SEND_CREDIT)

    def _take(self, delivery: Delivery) -> None:
        self._end.settle(delivery, self._reply(delivery.payload))
        self._end.keep_credit(_SEND_CREDIT)

    def _reply(self, payload: bytes) -> AmqpOutcome:
        if self.replies is None:
            return build_rejected_outcome(
                "amqp:precondition-failed", "no link is attached for the reply"
            )
        try:
            reply = self._answer(read_request(payload))
        except MalformedMessage as error:
            return build_rejected_outcome("amqp:decode-error", str(error))
        self.replies.waiting.append(reply)
        return ACCEPTED


class ReplyLink:
    """Carries the replies of a node, which need no settlement."""

    def __init__(self, end: SendingEnd, node: str) -> None:
        self.node = node
        #: Encoded replies for which the client has not given credit yet.
        self.waiting: deque[bytes] = deque()
        self._end = end

    def deliver_one(self) -> bool:
        """Send the next reply if there is one and the client has room for it."""
        if not (self.waiting and self._end.can_deliver):
            return False
        self._end.deliver(uuid4().bytes, self.waiting.popleft(), is_settled=True)
        return True

    def finish_drain(self) -> None:
        """Give unused credit back, if the client has asked for it."""
        self._end.finish_drain()


class SendLink:
    """Takes messages into a queue."""

    def __init__(self, end: ReceivingEnd, queue: Queue) -> None:
        self._end = end
        self._queue = queue
        end.on_delivery = self._take
        end.keep_credit(_SEND_CREDIT)

    def _take(self, delivery: Delivery) -> None:
        self._end.settle(delivery, self._enqueue(delivery))
        self._end.keep_credit(_SEND_CREDIT)

    def _enqueue(self, delivery: Delivery) -> AmqpOutcome:
        """Enqueue a message, or all messages of a batch."""
        size = len(delivery.payload)
        if size > MAX_MESSAGE_SIZE:
            why = f"The message of {size} bytes is over {MAX_MESSAGE_SIZE} bytes."
            return build_rejected_outcome("amqp:link:message-size-exceeded", why)
        try:
            messages = unpack(delivery.payload, delivery.message_format)
        except MalformedMessage as error:
            return build_rejected_outcome("amqp:decode-error", str(error))
        for message in messages:
            self._queue.enqueue(message)
        return ACCEPTED


class ReceiveLink:
    """Hands a queue's messages out and takes their settlement.

    The locks belong to the queue, not to the link: they outlive it until they expire.
    """

    def __init__(self, end: SendingEnd, queue: Queue) -> None:
        self._end = end
        self._queue = queue
        self._deletes_on_delivery = end.attach.value("snd_settle_mode") == _SETTLED
        end.on_outcome = self._settle

    def deliver_one(self) -> bool:
        """Send the next message if there is one and the client has room for it."""
        if not self._end.can_deliver:
            return False
        if self._deletes_on_delivery:
            message = self._queue.receive_and_delete()
            if message is not None:
                self._end.deliver(uuid4().bytes, write_delivery(message), is_settled=True)
            return message is not None
        received = self._queue.receive()
        if received is None:
            return False
        message, lock = received
        # The SDK reads the lock token from the tag, written as .NET writes a GUID.
        payload = write_delivery(message, lock)
        self._end.deliver(lock.token.bytes_le, payload, is_settled=False)
        return True

    def finish_drain(self) -> None:
        """Give unused credit back, if the client has asked for it."""
        self._end.finish_drain()

    def _settle(self, tag: bytes, outcome: AmqpOutcome) -> AmqpOutcome:
        """Settle a message as the client says and confirm with the same outcome.

        Since 7.15 the SDK waits for that confirmation; a refusal is `rejected` with an error.
        """
        try:
            self._apply(UUID(bytes_le=tag), outcome)
        except MessageLockLost as error:
            return build_rejected_outcome(
                "com.microsoft:message-lock-lost", f"The lock is lost: {error}."
            )
        return AmqpOutcome(code=outcome.code)

    def _apply(self, token: UUID, outcome: AmqpOutcome) -> None:
        match outcome.code:
            case AmqpOutcomeCode.ACCEPTED:
                self._queue.complete(token)
            case AmqpOutcomeCode.RELEASED:
                self._queue.release(token)
            case AmqpOutcomeCode.REJECTED:
                dead_lettering, amend = _parse_dead_lettering(outcome.field(0))
                self._queue.dead_letter(token, dead_lettering, amend)
            case AmqpOutcomeCode.MODIFIED:
                is_undeliverable_here = decode(outcome.field(1))
                settle = self._queue.defer if is_undeliverable_here else self._queue.abandon
                settle(token, parse_amendment(entries(outcome.field(2))))


def parse_amendment(properties: dict[str, bytes]) -> Amendment | None:
    """Return what changes the application properties that a receiver names, or None."""
    if not properties:
        return None
    return lambda payload: with_properties(payload, properties)


def accept_any_token(request: AmqpRequest) -> bytes:
    """Answer a request to `$cbs`: every token is good, which is why only this machine gets in."""
    return write_message(
        correlation_id=request.message_id,
        properties={"status-code": int32(200), "status-description": string("OK")},
        body=NULL,
    )


def _parse_dead_lettering(error: bytes) -> tuple[DeadLettering, Amendment | None]:
    """Read the reason, and what else the client wants said, from the error of a rejection."""
    if error == NULL:
        return DeadLettering(reason=None, description=None), None
    _, fields = described_value(error)
    _, _, info, *_ = [*elements(fields), NULL, NULL, NULL]
    named = entries(info)
    reason, description = (
        text(named.pop(name, NULL)) for name in ("DeadLetterReason", "DeadLetterErrorDescription")
    )
    return DeadLettering(reason=reason, description=description), parse_amendment(named)
