"""The port for the request budget of a service with a low limit."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


class RequestBudget(Protocol):
    """Reserve requests per invocation; invocations of the most advanced jobs come first."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Run an invocation with reserved requests; with None or zero requests it starts at once.

        If it must wait, raises `MustWait` with the time to retry, and keeps its place in the queue.
        Inside, a read without a reserved request waits for one.
        """

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until this many requests are available, before the check whether a write may start.

        `is_urgent`: include those kept for rollbacks, cutovers and revoking grants. Raises
        `ThrottledError` if that takes minutes.
        """

    async def read_queue_status(self) -> RequestQueueStatus:
        """Return how many wait in the queue, and for how long."""

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Wake waiters whose turn comes within the next minutes; return the queue.

        `come` returns whether a waiter still exists; if not, it loses its place.
        """
