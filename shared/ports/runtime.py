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

    def measure_local_clock_lead(self) -> timedelta:
        """Return how far the machine's clock is ahead of this one, or behind if negative."""

    async def sleep(self, time: timedelta) -> None:
        """Wait for `time`, which should be only seconds while an invocation leases its row."""


class TimeStamps(Protocol):
    """Request time stamps."""

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Return a time stamp of `content`, in DER, from the authority at this URL.

        Does not verify the signature. Raises `PlatformError` if the authority rejects the request
        or its answer does not match it, and `ServiceUnavailable` if it does not answer.
        """


class FunctionKeys(Protocol):
    """Check function keys of requests."""

    async def accepts(self, key: str) -> bool:
        """Return whether a text is a function key of this app.

        Raises `TransientError` if that cannot be checked.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A queue message. Service Bus drops it if its id was sent within the last ten minutes."""

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
    """Reserves requests for invocations, first for those of the most advanced jobs."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Run the block as an invocation, with reserved requests.

        If the invocation must wait, raises `MustWait` with the time to retry; the job then has a
        place in the queue. Inside, a read for which no request is reserved waits for one.
        """

    async def wait_for_requests(self, count: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until this many requests are available.

        Raises `ThrottledError` if the wait would take minutes. A step calls this before it checks
        whether a write may start. If `is_urgent`, the requests that are kept for rollbacks,
        cutovers and revoking grants count too.
        """

    async def read_queue_status(self) -> RequestQueueStatus:
        """Return how many jobs wait in the queue, and for how long."""

    async def wake_up_next_jobs(
        self, wake: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Wake the jobs whose turn comes within the next minutes.

        Returns the status of the queue. `wake` wakes a job, and returns whether the job still waits
        for its turn. If not, the job loses its place.
        """
