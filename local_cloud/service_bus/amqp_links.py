"""Define the links that a client may attach.

They send messages, receive messages, send requests to a node, or receive a node's replies.
"""

from collections import deque
from collections.abc import Callable
from uuid import UUID, uuid4

from local_cloud.service_bus.amqp_message import (
    AmqpRequest,
    MalformedMessage,
    build_delivery,
    build_reply,
    parse_request,
    split_batch,
    with_properties,
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
    decode_text,
    encode_int32,
    encode_string,
    split_described,
    split_elements,
    split_entries,
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
    """Receives requests to a node such as `$management`. Another link sends the replies."""

    def __init__(self, end: ReceivingEnd, node: str, answer: Answer) -> None:
        self.node = node
        #: Set when the client has attached it, None again when it has detached it.
        self.replies: ReplyLink | None = None
        self._end = end
        self._answer = answer
        end.on_delivery = self._handle_delivery
        end.renew_credit(_SEND_CREDIT)

    def _handle_delivery(self, delivery: Delivery) -> None:
        self._end.settle(delivery, self._answer_request(delivery.payload))
        self._end.renew_credit(_SEND_CREDIT)

    def _answer_request(self, payload: bytes) -> AmqpOutcome:
        if self.replies is None:
            return build_rejected_outcome(
                "amqp:precondition-failed", "no link is attached for the reply"
            )
        try:
            reply = self._answer(parse_request(payload))
        except MalformedMessage as error:
            return build_rejected_outcome("amqp:decode-error", str(error))
        self.replies.waiting.append(reply)
        return ACCEPTED


class ReplyLink:
    """Sends the replies of a node. The client need not settle them."""

    def __init__(self, end: SendingEnd, node: str) -> None:
        self.node = node
        #: Encoded replies for which the client has not given credit yet.
        self.waiting: deque[bytes] = deque()
        self._end = end

    def deliver_one(self) -> bool:
        if not (self.waiting and self._end.can_deliver):
            return False
        self._end.deliver(uuid4().bytes, self.waiting.popleft(), is_settled=True)
        return True

    def finish_drain(self) -> None:
        self._end.finish_drain()


class SendLink:
    def __init__(self, end: ReceivingEnd, queue: Queue) -> None:
        self._end = end
        self._queue = queue
        end.on_delivery = self._handle_delivery
        end.renew_credit(_SEND_CREDIT)

    def _handle_delivery(self, delivery: Delivery) -> None:
        self._end.settle(delivery, self._enqueue(delivery))
        self._end.renew_credit(_SEND_CREDIT)

    def _enqueue(self, delivery: Delivery) -> AmqpOutcome:
        size = len(delivery.payload)
        if size > MAX_MESSAGE_SIZE:
            why = f"The message of {size} bytes is over {MAX_MESSAGE_SIZE} bytes."
            return build_rejected_outcome("amqp:link:message-size-exceeded", why)
        try:
            messages = split_batch(delivery.payload, delivery.message_format)
        except MalformedMessage as error:
            return build_rejected_outcome("amqp:decode-error", str(error))
        for message in messages:
            self._queue.enqueue(message)
        return ACCEPTED


class ReceiveLink:
    """Sends the messages of a queue to a client, and settles them as the client requests.

    The locks belong to the queue, not to the link, so they remain until they expire.
    """

    def __init__(self, end: SendingEnd, queue: Queue) -> None:
        self._end = end
        self._queue = queue
        self._deletes_on_delivery = end.attach.get_value("snd_settle_mode") == _SETTLED
        end.on_outcome = self._settle

    def deliver_one(self) -> bool:
        """Send the next message if there is one and the client has credit.

        Return whether it was sent.
        """
        if not self._end.can_deliver:
            return False
        if self._deletes_on_delivery:
            message = self._queue.receive_and_delete()
            if message is not None:
                self._end.deliver(uuid4().bytes, build_delivery(message), is_settled=True)
            return message is not None
        received = self._queue.receive()
        if received is None:
            return False
        message, lock = received
        # The SDK reads the lock token from the tag, written as .NET writes a GUID.
        payload = build_delivery(message, lock)
        self._end.deliver(lock.token.bytes_le, payload, is_settled=False)
        return True

    def finish_drain(self) -> None:
        self._end.finish_drain()

    def _settle(self, tag: bytes, outcome: AmqpOutcome) -> AmqpOutcome:
        """Settle a message with the client's outcome, and return the outcome that confirms this.

        Since version 7.15, the SDK waits for the confirmation. If the message could not be settled,
        the returned outcome is `rejected`, with an error.
        """
        try:
            self._apply_outcome(UUID(bytes_le=tag), outcome)
        except MessageLockLost as error:
            return build_rejected_outcome(
                "com.microsoft:message-lock-lost", f"The lock is lost: {error}."
            )
        return AmqpOutcome(code=outcome.code)

    def _apply_outcome(self, token: UUID, outcome: AmqpOutcome) -> None:
        match outcome.code:
            case AmqpOutcomeCode.ACCEPTED:
                self._queue.complete(token)
            case AmqpOutcomeCode.RELEASED:
                self._queue.release(token)
            case AmqpOutcomeCode.REJECTED:
                dead_lettering, amend = _parse_dead_lettering(outcome.get_field(0))
                self._queue.move_to_dead_letters(token, dead_lettering, amend)
            case AmqpOutcomeCode.MODIFIED:
                is_undeliverable_here = decode(outcome.get_field(1))
                settle = self._queue.defer if is_undeliverable_here else self._queue.abandon
                settle(token, parse_amendment(split_entries(outcome.get_field(2))))


def parse_amendment(properties: dict[str, bytes]) -> Amendment | None:
    """Return the change of the application properties that a receiver requests, or None."""
    if not properties:
        return None
    return lambda payload: with_properties(payload, properties)


def accept_any_token(request: AmqpRequest) -> bytes:
    """Accept the token in a request to `$cbs`, whatever it is. Only this machine can connect."""
    return build_reply(
        correlation_id=request.message_id,
        properties={"status-code": encode_int32(200), "status-description": encode_string("OK")},
        body=NULL,
    )


def _parse_dead_lettering(error: bytes) -> tuple[DeadLettering, Amendment | None]:
    if error == NULL:
        return DeadLettering(reason=None, description=None), None
    _, fields = split_described(error)
    _, _, info, *_ = [*split_elements(fields), NULL, NULL, NULL]
    named = split_entries(info)
    reason, description = (
        decode_text(named.pop(name, NULL))
        for name in ("DeadLetterReason", "DeadLetterErrorDescription")
    )
    return DeadLettering(reason=reason, description=description), parse_amendment(named)
