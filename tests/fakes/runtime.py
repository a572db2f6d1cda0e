"""Fakes of the ports `AlertSender`, `FunctionKeys` and `RequestBudget`."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from shared.domain.alert import Alert
from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus


@dataclass(slots=True)
class FakeNotices:
    told: list[Alert] = field(default_factory=list)

    async def send(self, notice: Alert) -> None:
        self.told.append(notice)


class OneFunctionKey:
    """Implements `FunctionKeys`: accepts one key, and sends no request."""

    KEY = "the-function-key"

    async def accepts(self, key: str) -> bool:
        return key == self.KEY


class UnlimitedRequests:
    """Implements `RequestBudget` without limits, so that no job has to wait."""

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def wait_for_requests(self, count: int = 1, *, is_urgent: bool = False) -> None: ...

    async def read_queue_status(self) -> RequestQueueStatus:
        return RequestQueueStatus(row=("", "", ""), waiting=0, requests_per_minute=1_000)

    async def wake_up_next_jobs(
        self, wake: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        return await self.read_queue_status()
