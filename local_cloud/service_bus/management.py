"""Answers the requests that clients send to a queue's `$management` node.

Operations, request maps and reply maps are those of Service Bus ("AMQP request-response
operations"). One that this service does not offer is answered with 501, never ignored.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from proton import UNDESCRIBED, Array, Data, Message, int32, symbol

from local_cloud.service_bus.amqp_message import (
    MalformedMessage,
    amqp_timestamp,
    read_sent,
    write_delivery,
)
from local_cloud.service_bus.queue_messages import DeadLettering, MessageLockLost, MessageNotFound
from local_cloud.service_bus.queue_model import Queue

_OPERATION_PREFIX = "com.microsoft:"


class _NotOffered(ValueError):
    """The operation exists in Service Bus, but not here."""


def answer(queue: Queue, request: Message) -> Message:
    """Returns the reply to *request*; refusals, too, are replies."""
    properties: dict[Any, Any] = request.properties or {}
    operation = str(properties.get("operation"))
    try:
        perform = _OPERATIONS.get(operation.removeprefix(_OPERATION_PREFIX))
        if perform is None:
            raise _NotOffered(f"the operation {operation} is not offered here")
        if not isinstance(request.body, dict):
            raise TypeError("the body is not a map")
        body = perform(queue, request.body)
    except _NotOffered as error:
        return _refusal(request, 501, "amqp:not-implemented", str(error))
    except MessageLockLost as error:
        return _refusal(request, 410, "com.microsoft:message-lock-lost", str(error))
    except MessageNotFound as error:
        return _refusal(request, 404, "com.microsoft:message-not-found", str(error))
    except (MalformedMessage, KeyError, TypeError) as error:
        text = f"the request of {operation} cannot be read: {error!r}"
        return _refusal(request, 400, "com.microsoft:argument-error", text)
    if body is None:
        return _reply(request, {"statusCode": int32(204), "statusDescription": "No Content"}, {})
    return _reply(request, {"statusCode": int32(200), "statusDescription": "OK"}, body)


def _refusal(request: Message, status: int, condition: str, description: str) -> Message:
    properties = {
        "statusCode": int32(status),
        "statusDescription": description,
        "errorCondition": symbol(condition),
    }
    return _reply(request, properties, {})


def _reply(request: Message, properties: dict[str, Any], body: dict[str, Any]) -> Message:
    return Message(body=body, correlation_id=request.id, properties=properties)


def _renew_locks(queue: Queue, body: dict[str, Any]) -> dict[str, Any]:
    ends = [amqp_timestamp(queue.renew_lock(token)) for token in _elements(body["lock-tokens"])]
    return {"expirations": _array(Data.TIMESTAMP, ends)}


def _peek(queue: Queue, body: dict[str, Any]) -> dict[str, Any] | None:
    messages = queue.peek(int(body["from-sequence-number"]), int(body["message-count"]))
    if not messages:
        return None
    return {"messages": [{"message": write_delivery(message)} for message in messages]}


def _schedule(queue: Queue, body: dict[str, Any]) -> dict[str, Any]:
    sent = [read_sent(bytes(entry["message"])) for entry in body["messages"]]
    numbers = [queue.enqueue(message) for message in sent]
    return {"sequence-numbers": _array(Data.LONG, numbers)}


def _cancel_scheduled(queue: Queue, body: dict[str, Any]) -> dict[str, Any]:
    for number in _elements(body["sequence-numbers"]):
        queue.cancel_scheduled(int(number))
    return {}


def _update_disposition(queue: Queue, body: dict[str, Any]) -> dict[str, Any]:
    settle: Callable[[UUID], None]
    match body["disposition-status"]:
        case "completed":
            settle = queue.complete
        case "abandoned":
            settle = queue.abandon
        case "suspended":
            dead_lettering = DeadLettering(
                reason=body.get("deadletter-reason"),
                description=body.get("deadletter-description"),
            )

            def settle(token: UUID) -> None:
                queue.dead_letter(token, dead_lettering)

        case status:
            raise _NotOffered(f"the disposition {status} is not offered here")
    for token in _elements(body["lock-tokens"]):
        settle(token)
    return {}


_OPERATIONS: dict[str, Callable[[Queue, dict[str, Any]], dict[str, Any] | None]] = {
    "renew-lock": _renew_locks,
    "peek-message": _peek,
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel_scheduled,
    "update-disposition": _update_disposition,
}


def _array(element_type: int, elements: Sequence[int]) -> Array:
    return Array(UNDESCRIBED, element_type, *elements)  # type: ignore[arg-type]  # proton's own


def _elements(array: Any) -> list[Any]:
    return list(array.elements) if isinstance(array, Array) else list(array)
