"""Send messages to Service Bus queues and count queued messages.

The Functions output binding can set neither a message id nor a delivery time, so this module uses
the SDK. A queue's sender is kept, because opening a link takes several round trips.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from shared.errors import (
    NotFound,
    PlatformError,
    RefusedForNow,
    ServiceUnavailable,
    ThrottledError,
)
from shared.ports import MessageSender, NoTelemetry, QueueMessage, Telemetry
from shared.queues import DIAGNOSTIC_ID, TRACE_LINK, TRACEPARENT

_TIMEOUT = 15.0  # seconds per send, including the SDK's retries
_MOST_COUNTED = 1000
_PEEK = 250  # messages per response
#: Wait after a response that the namespace is busy (learn.microsoft.com, Service Bus throttling).
_BUSY = timedelta(seconds=10)
#: The condition of the protocol.
_UNAUTHORIZED = "amqp:unauthorized-access"


def build_client_by_identity(namespace: str, credential: AsyncTokenCredential) -> ServiceBusClient:
    """Return a client for `namespace` (`name.servicebus.windows.net`) that signs in with an
    identity.
    """
    return ServiceBusClient(namespace, credential, retry_total=1)


def build_client_by_connection_string(connection: str) -> ServiceBusClient:
    """Return a client for a connection string."""
    return ServiceBusClient.from_connection_string(connection, retry_total=1)


class ServiceBusMessages(MessageSender):
    """Implements the port `MessageSender` with Service Bus, over AMQP."""

    def __init__(self, client: ServiceBusClient, telemetry: Telemetry | None = None) -> None:
        """Take ownership of `client`: `close` closes it."""
        self._client = client
        self._telemetry = telemetry or NoTelemetry()
        self._senders: dict[str, ServiceBusSender] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close all links and the connection."""
        for sender in self._senders.values():
            await sender.close()
        self._senders.clear()
        await self._client.close()

    async def send(self, *messages: QueueMessage) -> None:
        """Send all messages in as few batches as possible."""
        by_queue = sorted(messages, key=lambda message: message.queue)
        for queue, group in groupby(by_queue, key=lambda message: message.queue):
            # Two tasks must not share a sender of the SDK at the same time.
            async with (
                self._locks.setdefault(queue, asyncio.Lock()),
                self._open_sender(queue) as sender,
            ):
                current = self._telemetry.current_traceparent()
                await _send_in_batches(
                    sender, [_build_wire_message(message, current) for message in group]
                )

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead_letters else None
        counted = 0
        after = 0
        receiver = self._client.get_queue_receiver(queue, sub_queue=sub_queue)
        async with _translate_errors(queue), receiver:
            while counted < _MOST_COUNTED:
                peeked = await receiver.peek_messages(
                    max_message_count=min(_PEEK, _MOST_COUNTED - counted),
                    sequence_number=after,
                    timeout=_TIMEOUT,
                )
                if not peeked:
                    break
                counted += len(peeked)
                after = (peeked[-1].sequence_number or 0) + 1
        return counted

    async def require_sending_allowed(self, queue: str) -> None:
        """Raise an error if the app cannot send to a queue.

        Opens a new link, which Service Bus authorizes, and sends no message.
        """
        async with _translate_errors(queue), self._client.get_queue_sender(queue):
            pass

    @asynccontextmanager
    async def _open_sender(self, queue: str) -> AsyncIterator[ServiceBusSender]:
        """Provide the sender of a queue. An error closes it, so that the next use opens another."""
        sender = self._senders.get(queue)
        if sender is None:
            sender = self._senders[queue] = self._client.get_queue_sender(queue)
        try:
            async with _translate_errors(queue):
                yield sender
        except BaseException:
            self._senders.pop(queue, None)
            await sender.close()
            raise


async def _send_in_batches(sender: ServiceBusSender, messages: Sequence[ServiceBusMessage]) -> None:
    if len(messages) == 1:
        await sender.send_messages(messages[0], timeout=_TIMEOUT)
        return
    batch = await sender.create_message_batch()
    for message in messages:
        try:
            batch.add_message(message)
        except MessageSizeExceededError:
            await sender.send_messages(batch, timeout=_TIMEOUT)
            batch = await sender.create_message_batch()
            batch.add_message(message)
    await sender.send_messages(batch, timeout=_TIMEOUT)


def _build_wire_message(message: QueueMessage, current: str) -> ServiceBusMessage:
    """Return a message in the SDK's type. A message without a trace gets the current trace."""
    properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = {}
    properties.update(message.properties.items())
    named = message.properties
    traceparent = named.get(TRACEPARENT, "" if TRACE_LINK in named else current)
    if traceparent:
        properties |= {TRACEPARENT: traceparent, DIAGNOSTIC_ID: traceparent}
    return ServiceBusMessage(
        json.dumps(message.body, separators=(",", ":")),
        content_type="application/json",
        message_id=message.message_id,
        scheduled_enqueue_time_utc=message.due,
        application_properties=properties,
    )


@asynccontextmanager
async def _translate_errors(queue: str) -> AsyncIterator[None]:
    try:
        yield
    except (ServiceBusServerBusyError, ServiceBusQuotaExceededError) as err:
        raise ThrottledError(f"queue {queue}: {err.message}", retry_after=_BUSY) from err
    except MessagingEntityNotFoundError as err:
        raise NotFound(f"No queue {queue}") from err
    except (ServiceBusAuthenticationError, ServiceBusAuthorizationError) as err:
        # A role takes minutes until it applies.
        raise RefusedForNow(f"queue {queue}: {err.message}", code=_UNAUTHORIZED) from err
    except MessageSizeExceededError as err:
        raise PlatformError(
            f"a message for queue {queue} is too large", code="MessageSizeExceeded", status=413
        ) from err
    except AzureError as err:  # token and connection errors, after the SDK's retries
        raise ServiceUnavailable(f"Cannot connect to queue {queue}: {err.message}") from err
