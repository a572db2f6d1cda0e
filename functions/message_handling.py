"""What becomes of a message: the one place where an error outside the jobs decides it.

| outcome | the message |
|---|---|
| done, or nothing to do | completed |
| `TransientError`, `Conflict` | completed; the same content is sent again with a back-off, then
parked |
| `ServiceUnavailable` | the same, but for days: an outage ends by itself |
| `MustWait`, `ThrottledError`, `ServiceOutage` | completed; the same content comes at the time it
named |
| any other `CmkflowError` | completed; parked with the reason |
| anything else: a defect | abandoned: the broker delivers again, and gives up after ten times |

A plain function can complete or abandon a message, nothing else, and an abandoned one comes back
within a millisecond. Hence the copies: they wait (platform.md#abandoned-messages).
"""

import hashlib
import json
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import azure.functions as func

from shared.domain.jobs.backoff import backoff_delay
from shared.domain.trigger_urls.trigger_url import mask_signatures, redact
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
from shared.log_fields import product_log
from shared.ports import QueueMessage
from shared.services import Services
from shared.settings import Settings
from shared.use_cases.quarantine_message import move_to_poison_queue

log = product_log(__name__)

#: Properties of a message that was sent again: the first message's id, how often it was sent
#: again, how many of those were failures.
FIRST = "first"
AGAIN = "again"
FAILURES = "failures"


#: A message of which nothing but an outage is known is kept for so long.
_LONGEST_OUTAGE = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInvocation:
    """One message, as far as its fate is concerned."""

    queue: str
    #: Id of the message that was sent first.
    first: str
    again: int
    failures: int
    content: bytes

    @property
    def document(self) -> object:
        """Return the content as JSON; raises `InvalidInput`."""
        try:
            return json.loads(self.content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as err:
            message = f"The body is not JSON: {err}"
            raise InvalidInput(message) from err


def delivery_of(message: func.ServiceBusMessage, queue: str) -> QueueInvocation:
    """Return what is to be known of a message."""
    content = message.get_body()
    properties = message.application_properties or {}
    digest = hashlib.sha256(content).hexdigest()
    return QueueInvocation(
        queue=queue,
        first=mask_signatures(str(properties.get(FIRST) or message.message_id or digest)),
        again=_number(properties.get(AGAIN)),
        failures=_number(properties.get(FAILURES)),
        content=content,
    )


async def handle_message(
    services: Services, delivery: QueueInvocation, act: Callable[[], Awaitable[object]]
) -> None:
    """Do the work of a message and see to what becomes of it.

    Raises only for defects, and if nothing can be sent: then the broker keeps the message.
    """
    try:
        with without_secrets():
            result = await act()
    except (MustWait, PlatformMigrationInProgress, TransientError, Conflict) as err:
        await _send_again(services, delivery, err)
    except CmkflowError as err:
        await _park(services, delivery, str(err))
    else:
        extra = {"queue": delivery.queue, "message_id": delivery.first}
        log.info("message of %s: %s", delivery.queue, result, extra=extra)


@contextmanager
def without_secrets() -> Iterator[None]:
    """Let exceptions out, but none that tells a trigger URL: the host logs all of what it gets."""
    try:
        yield
    except CmkflowError:
        raise
    except Exception as err:
        stack = "".join(traceback.format_exception(err))
        safe = redact(stack)
        if safe == stack:
            raise
        message = f"{type(err).__name__}, shown without secrets:\n{safe}"
        raise RuntimeError(message) from None


async def _send_again(services: Services, delivery: QueueInvocation, err: CmkflowError) -> None:
    settings, now = services.settings, services.now
    failures = delivery.failures
    match err:
        case MustWait():
            due = max(err.until, now)
        case PlatformMigrationInProgress():
            due = now + settings.platform_migration_poll_interval
        case ThrottledError() | ServiceOutage():
            due = now + max(
                err.retry_after or settings.backoff_initial_delay, settings.backoff_initial_delay
            )
        case _ if failures >= settings.backoff_max_attempts + _patience(err, settings):
            await _park(services, delivery, f"Tried {failures + 1} times: {err}")
            return
        case _:
            failures += 1
            asked = err.retry_after if isinstance(err, TransientError) else None
            due = now + backoff_delay(
                failures,
                first=settings.backoff_initial_delay,
                longest=settings.backoff_max_delay,
                asked=asked,
            )
    content = delivery.document
    if not isinstance(content, Mapping):
        await _park(services, delivery, f"Not an object, so it cannot be sent again: {err}")
        return
    await services.messages.send(_copy(delivery, content, failures, due))
    log.warning(
        "a message of %s is tried again at %s: %s",
        delivery.queue,
        due.isoformat(),
        redact(str(err)),
        extra={"queue": delivery.queue, "failures": failures},
    )


def _patience(err: CmkflowError, settings: Settings) -> int:
    """Return how many more tries an outage is worth: what is ours may be out as well."""
    return (
        _LONGEST_OUTAGE // settings.backoff_max_delay if isinstance(err, ServiceUnavailable) else 0
    )


def _copy(
    delivery: QueueInvocation, content: Mapping[str, object], failures: int, due: datetime
) -> QueueMessage:
    again = delivery.again + 1
    # A redelivery of the same message sends the same id, which duplicate detection drops.
    identity = hashlib.sha256(f"{delivery.queue}/{delivery.first}".encode()).hexdigest()[:40]
    return QueueMessage(
        queue=delivery.queue,
        message_id=f"again/{identity}/{again}",
        body=content,
        due=due,
        properties={FIRST: delivery.first, AGAIN: str(again), FAILURES: str(failures)},
    )


async def _park(services: Services, delivery: QueueInvocation, reason: str) -> None:
    await move_to_poison_queue(
        services,
        queue=delivery.queue,
        message_id=delivery.first,
        body=delivery.content,
        reason=reason,
    )


def _number(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
