"""The ports for what the app runs on: time, queues, function keys and request budgets."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


class Clock(Protocol):
    """Provide the time, and wait."""

    def now(self) -> datetime:
        """Return the current time in UTC."""

    def measure_local_lead(self) -> timedelta:
        """Return how far the machine's clock is ahead of this one, or behind if negative."""

    async def sleep(self, time: timedelta) -> None:
        """Wait for `time`. It should be only seconds while an invocation leases its row."""


class TimeStamps(Protocol):
    """Request time stamps."""

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Return the answer of the authority at this URL, in DER: a time stamp of `content`. Does
        not verify the signature.

        Raises `PlatformError` if the authority rejects the request or its answer does not match it,
        and `ServiceUnavailable` without an answer.
        """


class FunctionKeys(Protocol):
    """Check function keys of requests."""

    async def accepts(self, key: str) -> bool:
        """Return whether a text is a function key of this app.

        Raises `TransientError` if that cannot be checked.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A queue message. Of several with the same id, one is sent within ten minutes."""

    queue: str
    message_id: str
    body: Mapping[str, object]
    #: Delivery time; None: now.
    due: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class MessageSender(Protocol):
    """Send messages to Service Bus queues."""

    async def send(self, *messages: QueueMessage) -> None:
        """Send all messages. Raises `TransientError` if some may not have been sent."""

    async def require_sending_allowed(self, queue: str) -> None:
        """Raise an error if the app cannot send to a queue. No message is sent."""

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        """Return the number of messages in a queue or its dead-letter queue, up to 1,000."""


class RequestBudget(Protocol):
    """Reserves requests for invocations. Invocations of the most advanced jobs get them first."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Run an invocation with reserved requests. Without a need for requests, it starts at once.

        If it must wait, raises `MustWait` with the time to retry, and keeps its place in the queue.
        Inside, a read for which no request is reserved waits for one.
        """

    async def wait_for_requests(self, count: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until this many requests are available. Raises `ThrottledError` if the wait would
        take minutes.

        A step calls this before it checks whether a write may start. `is_urgent` includes the
        requests kept for rollbacks, cutovers and revoking grants.
        """

    async def read_queue_status(self) -> RequestQueueStatus:
        """Return how many jobs wait in the queue, and for how long."""

    async def promote_waiters(
        self, wake: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Wake the jobs whose turn comes within the next minutes, and return the status of the
        queue.

        `wake` wakes a job, and returns whether it still waits for its turn. If not, the job loses
        its place.
        """
