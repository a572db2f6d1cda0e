"""Answers the requests that clients send to a queue's `$management` node.

Operations, request maps and reply maps are those of Service Bus ("AMQP request-response
operations"). One that this service does not offer is answered with 501, never ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.service_bus.amqp_links import parse_amendment
from local_cloud.service_bus.amqp_message import (
    AmqpRequest,
    amqp_timestamp,
    read_sent,
    write_delivery,
    write_message,
)
from local_cloud.service_bus.amqp_types import (
    NULL,
    Constructor,
    binary,
    decode,
    elements,
    encode_array,
    entries,
    int32,
    list_of,
    long,
    map_of,
    string,
    symbol,
    text,
    uuid,
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
    """The operation exists in Service Bus, but not here."""


def answer(queue: Queue, request: AmqpRequest) -> bytes:
    """Return the reply to *request*; refusals, too, are replies."""
    operation = str(request.properties.get("operation"))
    try:
        perform = _OPERATIONS.get(operation.removeprefix(_OPERATION_PREFIX))
        if perform is None:
            raise _NotOffered(f"the operation {operation} is not offered here")
        body = perform(queue, entries(request.body))
    except _NotOffered as error:
        return _build_refusal(request, 501, "amqp:not-implemented", str(error))
    except MessageLockLost as error:
        return _build_refusal(request, 410, "com.microsoft:message-lock-lost", str(error))
    except MessageNotFound as error:
        return _build_refusal(request, 404, "com.microsoft:message-not-found", str(error))
    except (KeyError, TypeError, ValueError) as error:
        why = f"the request of {operation} cannot be read: {error!r}"
        return _build_refusal(request, 400, "com.microsoft:argument-error", why)
    if body is None:
        return _reply(request, 204, "No Content", {})
    return _reply(request, 200, "OK", body)


def _build_refusal(request: AmqpRequest, status: int, condition: str, description: str) -> bytes:
    return _reply(request, status, description, {}, errorCondition=symbol(condition))


def _reply(
    request: AmqpRequest, status: int, description: str, body: Mapping[str, bytes], **more: bytes
) -> bytes:
    return write_message(
        correlation_id=request.message_id,
        properties={
            "statusCode": int32(status),
            "statusDescription": string(description),
            **more,
        },
        body=map_of({string(name): value for name, value in body.items()}),
    )


def _renew_locks(queue: Queue, request: _Request) -> _Reply:
    ends = [amqp_timestamp(queue.renew_lock(token)) for token in decode(request["lock-tokens"])]
    return {"expirations": encode_array(ends, Constructor.TIMESTAMP)}


def _peek(queue: Queue, request: _Request) -> _Reply:
    first, count = decode(request["from-sequence-number"]), decode(request["message-count"])
    messages = queue.peek(int(first), int(count))
    if not messages:
        return None
    return {"messages": list_of([_map(message=write_delivery(each)) for each in messages])}


def _schedule(queue: Queue, request: _Request) -> _Reply:
    sent = [read_sent(decode(entries(each)["message"])) for each in elements(request["messages"])]
    numbers = [long(queue.enqueue(message)) for message in sent]
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
            received.append(_map(message=write_delivery(message)))
        else:
            lock = queue.lock(message)
            encoded = {
                string("lock-token"): uuid(lock.token),
                string("message"): binary(write_delivery(message, lock)),
            }
            received.append(map_of(encoded))
    return {"messages": list_of(received)}


def _update_disposition(queue: Queue, request: _Request) -> _Reply:
    amend = parse_amendment(entries(request.get("properties-to-modify", NULL)))
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
                reason=text(request.get("deadletter-reason", NULL)),
                description=text(request.get("deadletter-description", NULL)),
            )
            for token in tokens:
                queue.dead_letter(token, dead_lettering, amend)
        case status:
            raise _NotOffered(f"the disposition {status} is not offered here")
    return {}


_OPERATIONS: dict[str, Callable[[Queue, _Request], _Reply]] = {
    "renew-lock": _renew_locks,
    "peek-message": _peek,
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel_scheduled,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _update_disposition,
}


def _map(*, message: bytes) -> bytes:
    return map_of({string("message"): binary(message)})
