"""The port for the request budget of a service with a low limit."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


class RequestBudget(Protocol):
    """Reserve requests for invocations. Invocations of the most advanced jobs come first."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Run an invocation with reserved requests.

        With None or zero requests it starts at once. If it must wait, raises `MustWait` with the
        time to retry, and keeps its place in the queue. Inside, a read without a reserved request
        waits for one.
        """

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until this many requests are available.

        A step calls this before it checks whether a write may start. `is_urgent` includes the
        requests kept for rollbacks, cutovers and revoking grants. Raises `ThrottledError` if the
        wait would take minutes.
        """

    async def read_queue_status(self) -> RequestQueueStatus:
        """Return how many jobs wait in the queue, and for how long."""

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Wake the jobs whose turn comes within the next minutes.

        Return the status of the queue. `come` returns whether a job still waits for its turn. If
        not, the job loses its place.
        """
