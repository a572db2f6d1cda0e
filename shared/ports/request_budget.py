"""The calls of a service that takes few of them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


class RequestBudget(Protocol):
    """Hands out calls in blocks, one for each delivery, to those first who are furthest along."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Work inside with a block of calls; None, or no calls: it may begin without any.

        Raises `Waiting` instead of letting the work begin, with the time to ask again. The place
        in the line is kept meanwhile. Inside, a read for which there is no call waits for it.
        """

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Come back when so many are at hand, before it is asked whether a write may begin now.

        `is_urgent`: they may be of those that are kept for undo, swaps and the return of rights.

        Raises `ThrottledError` if that takes minutes.
        """

    async def queue_status(self) -> RequestQueueStatus:
        """Return who waits at this moment, and for how long."""

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Have those come sooner whose turn comes within the next minutes; returns the line.

        `come` says whether one still waits there: who does not loses its place.
        """
