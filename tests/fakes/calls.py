"""A service that takes all calls."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


class PlentyOfCalls:
    """The port `RequestBudget` where nobody has to wait."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        """Let the work begin."""
        return nullcontext()

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Come back at once."""

    async def queue_status(self) -> RequestQueueStatus:
        """Return that nobody waits."""
        return RequestQueueStatus(row=("", "", ""), waiting=0, requests_per_minute=1_000)

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Call nobody."""
        return await self.queue_status()
