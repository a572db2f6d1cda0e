"""Answer clients' requests to the `$management` node of a queue, such as to peek or to renew locks.

Operations, request maps and reply maps are those of Service Bus ("AMQP request-response
operations"). An operation that this service does not support is answered with 501.
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.service_bus.amqp_links import parse_amendment
from local_cloud.service_bus.amqp_message import (
    AmqpRequest,
    build_delivery,
    build_reply,
    encode_time,
    parse_sent_message,
)
from local_cloud.service_bus.amqp_types import (
    NULL,
    Constructor,
    decode,
    decode_text,
    encode_array,
    encode_binary,
    encode_int32,
    encode_list,
    encode_long,
    encode_map,
    encode_string,
    encode_symbol,
    encode_uuid,
    split_elements,
    split_entries,
)
from local_cloud.service_bus.queue_messages import DeadLettering, MessageLockLost, MessageNotFound
from local_cloud.service_bus.queue_model import Queue

_OPERATION_PREFIX = "com.microsoft:"
_RECEIVE_AND_DELETE = 0

#: The map of a request, its values still encoded.
_Request = dict[Any, bytes]
#: The map of a reply, its values encoded; None: there is nothing.
_Reply = dict[str, bytes] | None


class _NotOffered(ValueError):
    """The operation exists in Service Bus, but is not supported here."""


def answer_request(queue: Queue, request: AmqpRequest) -> bytes:
    """Perform a management operation on *queue*. Return the encoded reply or error."""
    operation = str(request.properties.get("operation"))
    try:
        perform = _OPERATIONS.get(operation.removeprefix(_OPERATION_PREFIX))
        if perform is None:
            raise _NotOffered(f"the operation {operation} is not offered here")
        body = perform(queue, split_entries(request.body))
    except _NotOffered as error:
        return _build_error_reply(request, 501, "amqp:not-implemented", str(error))
    except MessageLockLost as error:
        return _build_error_reply(request, 410, "com.microsoft:message-lock-lost", str(error))
    except MessageNotFound as error:
        return _build_error_reply(request, 404, "com.microsoft:message-not-found", str(error))
    except (KeyError, TypeError, ValueError) as error:
        why = f"the request of {operation} cannot be read: {error!r}"
        return _build_error_reply(request, 400, "com.microsoft:argument-error", why)
    if body is None:
        return _build_reply(request, 204, "No Content", {})
    return _build_reply(request, 200, "OK", body)


def _build_error_reply(
    request: AmqpRequest, status: int, condition: str, description: str
) -> bytes:
    return _build_reply(request, status, description, {}, errorCondition=encode_symbol(condition))


def _build_reply(
    request: AmqpRequest, status: int, description: str, body: Mapping[str, bytes], **more: bytes
) -> bytes:
    return build_reply(
        correlation_id=request.message_id,
        properties={
            "statusCode": encode_int32(status),
            "statusDescription": encode_string(description),
            **more,
        },
        body=encode_map({encode_string(name): value for name, value in body.items()}),
    )


def _renew_locks(queue: Queue, request: _Request) -> _Reply:
    ends = [encode_time(queue.renew_lock(token)) for token in decode(request["lock-tokens"])]
    return {"expirations": encode_array(ends, Constructor.TIMESTAMP)}


def _peek_messages(queue: Queue, request: _Request) -> _Reply:
    first, count = decode(request["from-sequence-number"]), decode(request["message-count"])
    messages = queue.peek(int(first), int(count))
    if not messages:
        return None
    return {
        "messages": encode_list(
            [_encode_message_entry(message=build_delivery(each)) for each in messages]
        )
    }


def _schedule_messages(queue: Queue, request: _Request) -> _Reply:
    sent = [
        parse_sent_message(decode(split_entries(each)["message"]))
        for each in split_elements(request["messages"])
    ]
    numbers = [encode_long(queue.enqueue(message)) for message in sent]
    return {"sequence-numbers": encode_array(numbers, Constructor.LONG)}


def _cancel_scheduled(queue: Queue, request: _Request) -> _Reply:
    for number in decode(request["sequence-numbers"]):
        queue.cancel_scheduled(int(number))
    return {}


def _receive_deferred(queue: Queue, request: _Request) -> _Reply:
    messages = queue.receive_deferred(decode(request["sequence-numbers"]))
    received: list[bytes] = []
    for message in messages:
        if decode(request["receiver-settle-mode"]) == _RECEIVE_AND_DELETE:
            queue.delete(message)
            received.append(_encode_message_entry(message=build_delivery(message)))
        else:
            lock = queue.lock(message)
            encoded = {
                encode_string("lock-token"): encode_uuid(lock.token),
                encode_string("message"): encode_binary(build_delivery(message, lock)),
            }
            received.append(encode_map(encoded))
    return {"messages": encode_list(received)}


def _update_disposition(queue: Queue, request: _Request) -> _Reply:
    amend = parse_amendment(split_entries(request.get("properties-to-modify", NULL)))
    tokens = decode(request["lock-tokens"])
    match decode(request["disposition-status"]):
        case "completed":
            for token in tokens:
                queue.complete(token)
        case "abandoned":
            for token in tokens:
                queue.abandon(token, amend)
        case "defered":  # spelt so on the wire
            for token in tokens:
                queue.defer(token, amend)
        case "suspended":
            dead_lettering = DeadLettering(
                reason=decode_text(request.get("deadletter-reason", NULL)),
                description=decode_text(request.get("deadletter-description", NULL)),
            )
            for token in tokens:
                queue.move_to_dead_letters(token, dead_lettering, amend)
        case status:
            raise _NotOffered(f"the disposition {status} is not offered here")
    return {}


_OPERATIONS: dict[str, Callable[[Queue, _Request], _Reply]] = {
    "renew-lock": _renew_locks,
    "peek-message": _peek_messages,
    "schedule-message": _schedule_messages,
    "cancel-scheduled-message": _cancel_scheduled,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _update_disposition,
}


def _encode_message_entry(*, message: bytes) -> bytes:
    return encode_map({encode_string("message"): encode_binary(message)})
