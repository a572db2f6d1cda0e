"""Handle a queue message, and decide what to do with it after an error.

| result | the message |
|---|---|
| done, or nothing to do | completed |
| `TransientError`, `Conflict` | completed; a copy is sent with a back-off, then moved to the poison
queue |
| `ServiceUnavailable` | the same, but for up to three days |
| `MustWait`, `ThrottledError`, `ServiceOutage` | completed; a copy is sent for the time that the
error names |
| `PlatformMigrationInProgress` | completed; a copy is sent, due after the poll interval |
| any other `CmkflowError` | completed; moved to the poison queue with the error's text |
| any other exception | abandoned; the broker sends it again, at most ten times |

An Azure Function can only complete or abandon a message, and an abandoned message returns within a
millisecond. Therefore a copy is sent that waits (platform.md#abandoned-messages).
"""

import hashlib
import json
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import azure.functions as func

from shared.domain.jobs.backoff import compute_backoff_delay
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    Conflict,
    InvalidInput,
    MustWait,
    PlatformMigrationInProgress,
    ServiceOutage,
    ServiceUnavailable,
    ThrottledError,
    TransientError,
)
from shared.logs.fields import get_product_log, log_with
from shared.ports import QueueMessage
from shared.queues import DIAGNOSTIC_ID, TRACE_LINK, TRACEPARENT
from shared.services import Services
from shared.settings import Settings
from shared.use_cases.quarantine_message import move_to_poison_queue

log = get_product_log(__name__)

#: Properties of a copy: id of the first message, number of copies so far, number of failures.
FIRST = "first"
AGAIN = "again"
FAILURES = "failures"


#: How long a message is retried during an outage.
_LONGEST_OUTAGE = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInvocation:
    """A queue message, with how often it was sent again and why."""

    queue: str
    #: Id of the first message, of which this is a copy.
    first: str
    again: int
    failures: int
    content: bytes
    #: Its trace, and an older one that its trace links to; each may be empty.
    traceparent: str = ""
    trace_link: str = ""

    @property
    def document(self) -> object:
        """Return the message's JSON value. Raises `InvalidInput` if it is not JSON."""
        try:
            return json.loads(self.content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as err:
            message = f"The body is not JSON: {err}"
            raise InvalidInput(message) from err


def build_invocation(message: func.ServiceBusMessage, queue: str) -> QueueInvocation:
    """Return the invocation for a queue message, with its history of retries from the message's
    properties.
    """
    content = message.get_body()
    properties = message.application_properties or {}
    digest = hashlib.sha256(content).hexdigest()
    return QueueInvocation(
        queue=queue,
        first=mask_signatures(str(properties.get(FIRST) or message.message_id or digest)),
        again=_parse_count(properties.get(AGAIN)),
        failures=_parse_count(properties.get(FAILURES)),
        content=content,
        traceparent=str(properties.get(TRACEPARENT) or properties.get(DIAGNOSTIC_ID) or ""),
        trace_link=str(properties.get(TRACE_LINK) or ""),
    )


async def handle_message(
    services: Services, invocation: QueueInvocation, act: Callable[[], Awaitable[object]]
) -> None:
    """Run `act` for a message, then complete it, send a copy, or move it to the poison queue.

    Raises an exception after an internal error, or if nothing can be sent. The broker then keeps
    the message.
    """
    with (
        services.telemetry.span(
            f"process {invocation.queue}",
            parent=invocation.traceparent,
            link=invocation.trace_link,
            attributes={
                "messaging.system": "servicebus",
                "messaging.destination.name": invocation.queue,
                "messaging.message.id": invocation.first,
            },
        ) as span,
        log_with(trace=span.trace_id),
    ):
        await _run_and_settle_message(
            services, replace(invocation, traceparent=span.traceparent), act
        )


async def _run_and_settle_message(
    services: Services, invocation: QueueInvocation, act: Callable[[], Awaitable[object]]
) -> None:
    try:
        with redact_exceptions():
            result = await act()
    except (MustWait, PlatformMigrationInProgress, TransientError, Conflict) as err:
        await _retry_or_give_up(services, invocation, err)
    except CmkflowError as err:
        await _move_invocation_to_poison_queue(services, invocation, str(err))
    else:
        extra = {"queue": invocation.queue, "message_id": invocation.first, "result": result}
        log.info("message processed", extra=extra)


@contextmanager
def redact_exceptions() -> Iterator[None]:
    """Redact trigger URLs in exceptions other than `CmkflowError`, because the host logs exceptions
    in full.
    """
    try:
        yield
    except CmkflowError:
        raise
    except Exception as err:
        stack = "".join(traceback.format_exception(err))
        safe = redact(stack)
        if safe == stack:
            raise
        message = f"{type(err).__name__}, redacted:\n{safe}"
        raise RuntimeError(message) from None


async def _retry_or_give_up(
    services: Services, invocation: QueueInvocation, err: CmkflowError
) -> None:
    settings, now = services.settings, services.now
    failures = invocation.failures
    match err:
        case MustWait():
            due = max(err.until, now)
        case PlatformMigrationInProgress():
            due = now + settings.platform_migration_poll_interval
        case ThrottledError() | ServiceOutage():
            due = now + max(
                err.retry_after or settings.backoff_initial_delay, settings.backoff_initial_delay
            )
        case _ if failures >= settings.backoff_max_attempts + _count_extra_tries(err, settings):
            await _move_invocation_to_poison_queue(
                services, invocation, f"Tried {failures + 1} times: {err}"
            )
            return
        case _:
            failures += 1
            asked = err.retry_after if isinstance(err, TransientError) else None
            due = now + compute_backoff_delay(
                failures,
                first=settings.backoff_initial_delay,
                longest=settings.backoff_max_delay,
                asked=asked,
            )
    content = invocation.document
    if not isinstance(content, Mapping):
        await _move_invocation_to_poison_queue(
            services, invocation, f"The body is not an object, so it cannot be sent again: {err}"
        )
        return
    await services.messages.send(_build_delayed_copy(invocation, content, failures, due))
    log.warning(
        "message retried",
        extra={
            "queue": invocation.queue,
            "failures": failures,
            "due": due.isoformat(),
            "text": str(err),
        },
    )


def _count_extra_tries(err: CmkflowError, settings: Settings) -> int:
    return (
        _LONGEST_OUTAGE // settings.backoff_max_delay if isinstance(err, ServiceUnavailable) else 0
    )


def _build_delayed_copy(
    invocation: QueueInvocation, content: Mapping[str, object], failures: int, due: datetime
) -> QueueMessage:
    again = invocation.again + 1
    # After a redelivery, the copy has the same id, so that duplicate detection drops it.
    identity = hashlib.sha256(f"{invocation.queue}/{invocation.first}".encode()).hexdigest()[:40]
    return QueueMessage(
        queue=invocation.queue,
        message_id=f"again/{identity}/{again}",
        body=content,
        due=due,
        properties={
            FIRST: invocation.first,
            AGAIN: str(again),
            FAILURES: str(failures),
            **({TRACEPARENT: invocation.traceparent} if invocation.traceparent else {}),
        },
    )


async def _move_invocation_to_poison_queue(
    services: Services, invocation: QueueInvocation, reason: str
) -> None:
    await move_to_poison_queue(
        services,
        queue=invocation.queue,
        message_id=invocation.first,
        body=invocation.content,
        reason=reason,
    )


def _parse_count(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
