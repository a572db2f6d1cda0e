"""Convert a Service Bus message to the data that the host's extension passes to the worker.

Names, encodings and omissions are those of the Azure Functions host. Data that the extension does
not send (lock time, time to live, dead-letter reason) is omitted here too, so that no app depends
on it.
"""

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from local_cloud.functions_host.rpc_messages import rpc

#: .NET's DateTimeOffset.MaxValue, which a message without an end of life carries.
_NEVER = "9999-12-31T23:59:59.9999999"


def build_message_data(message: ServiceBusReceivedMessage, *, is_binary: bool) -> Any:
    """Return the body of a message as TypedData: bytes for a binary function, otherwise text.

    Bytes that are not UTF-8 become replacement characters, as in .NET.
    """
    body = _get_body(message)
    if is_binary:
        return rpc.TypedData(bytes=body)
    return rpc.TypedData(string=body.decode("utf-8", errors="replace"))


def build_message_metadata(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """Return the trigger metadata of a message by name.

    Properties that it does not have are omitted.
    """
    texts = {
        "MessageId": message.message_id,
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "Subject": message.subject,
        "Label": message.subject,
        "SessionId": message.session_id,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "To": message.to,
        "PartitionKey": message.partition_key,
        "DeadLetterSource": message.dead_letter_source,
        "LockToken": message.lock_token,
    }
    properties = convert_application_properties(message)
    enqueued = message.enqueued_time_utc
    expires = _format_expiry(enqueued, message.time_to_live)
    values: dict[str, object] = {
        # .NET counts deliveries from 1, the Python SDK from 0.
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "SequenceNumber": message.sequence_number,
        "ApplicationProperties": properties,
        "UserProperties": properties,
        # DateTimeOffset.DateTime: UTC, but without saying so.
        "EnqueuedTimeUtc": _format_net_time(enqueued) if enqueued else None,
        "EnqueuedTime": f"{_format_net_time(enqueued)}+00:00" if enqueued else None,
        "ExpiresAtUtc": expires,
        "ExpiresAt": f"{expires}+00:00",
    }
    typed = {
        name: rpc.TypedData(string=str(text)) for name, text in texts.items() if text is not None
    }
    typed |= {
        name: rpc.TypedData(json=json.dumps(value, ensure_ascii=False))
        for name, value in values.items()
        if value is not None
    }
    return typed


def convert_application_properties(message: ServiceBusReceivedMessage) -> dict[str, object]:
    """Return the application properties of a message as values for JSON."""
    properties: Mapping[Any, Any] = message.application_properties or {}
    return {
        str(_convert_property(name)): _convert_property(value) for name, value in properties.items()
    }


def _convert_property(value: object) -> object:
    """Return a property's value for JSON.

    Bytes become text, because the SDK returns AMQP strings as bytes.
    """
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return value


def _get_body(message: ServiceBusReceivedMessage) -> bytes:
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = _convert_property(message.body)
    return value.encode() if isinstance(value, str) else json.dumps(value, default=str).encode()


def _format_expiry(enqueued: datetime | None, time_to_live: timedelta | None) -> str:
    """Return when the message expires, in .NET's format without an offset.

    If it never expires, this is .NET's last time.
    """
    if enqueued is None or time_to_live is None:
        return _NEVER
    try:
        return _format_net_time(enqueued + time_to_live)
    except OverflowError:
        return _NEVER


def _format_net_time(moment: datetime) -> str:
    """Return a UTC time in .NET's format: no offset, and no trailing zeros in the fraction."""
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".")
