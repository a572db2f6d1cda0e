"""Limit requests to a service for all instances of the app, with rows of the store.

In *no* span of one window's length are there more requests than the budget, wherever it starts, and
in no hour or day more than their limits (request_tally.py). While many requests are left, an
instance leases slices (reserved_slices.py). While few are left, a delivery takes a reservation
(reserved_requests.py) or waits in the queue (request_queue.py).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched

from shared.adapters.state.budget_state import BudgetState
from shared.adapters.state.queue_totals import QueueTotals
from shared.adapters.state.request_ledger import (
    NEVER,
    RECHECK_DELAY,
    UNDERWAY,
    BudgetLimit,
    RequestLedger,
)
from shared.adapters.state.request_queue import AT_ONCE, RequestQueueEntry, is_near
from shared.adapters.state.reserved_requests import ReservedRequests
from shared.adapters.state.reserved_slices import ReservedSlice
from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus
from shared.errors import CmkflowError, Conflict, NotFound, ThrottledError
from shared.log_fields import get_product_log
from shared.ports import Clock, Operation, RequestBudget, Store, StoreRow

#: Maximum total wait of an invocation for requests; longer if the requests need longer. The
#: most requests that an invocation sends before it saves its result are eleven, for a flow whose
#: definition is hidden. The host ends an invocation after ten minutes (host.json).
_PATIENCE = timedelta(minutes=3)
_LEAST_CALLS = 11
_LONGEST_PATIENCE = timedelta(minutes=8)

_log = get_product_log(__name__)


@dataclass(slots=True)
class _Delivery:
    """An invocation inside `StoredRequestBudget.block`, which can wait for any budget."""

    is_urgent: bool
    #: By name of the budget.
    blocks: dict[str, ReservedRequests] = field(default_factory=dict)
    waited: timedelta = timedelta(0)
    #: End of the current wait. Concurrent requests wait at the same time.
    waits_until: datetime = NEVER

    def wait(self, now: datetime, wait: timedelta) -> None:
        """Add a wait that starts now. Time that already counts as another wait is not added."""
        until = now + wait
        self.waited += max(timedelta(0), until - max(now, self.waits_until))
        self.waits_until = max(until, self.waits_until)


_delivery: ContextVar[_Delivery | None] = ContextVar("delivery", default=None)


class StoredRequestBudget(RequestBudget):
    """The request budget of a service, for this instance."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Lease requests by rows of `store`."""
        if limit.calls < 1:
            raise ValueError("a budget must allow at least one request")
        self._clock = clock
        self._limit = limit
        self._row = BudgetState(store, clock, limit)
        self._slice = ReservedSlice(self._row)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        """Run an invocation with reserved requests; see the port."""
        delivery, block = _Delivery(need is not None and need.is_urgent), None
        if self._slice.size == 1 or (need is not None and need.requests > self._slice.size):
            block = await self._begin_reservation(need)
            delivery.blocks[self._limit.name] = block
        before = _delivery.set(delivery)
        try:
            yield
        finally:
            _delivery.reset(before)
            if block:
                await self._end_reservation(block)

    @property
    def is_in_invocation(self) -> bool:
        """Return whether an invocation runs now: only then does `wait_for` wait."""
        return _delivery.get() is not None

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until there are requests. Outside of an invocation, do nothing: `take` raises."""
        delivery = _delivery.get()
        if delivery is None:
            return
        while True:
            try:
                async with self._lock:
                    await self._take_requests(calls, is_urgent=is_urgent)
                break
            except ThrottledError as err:
                wait = err.retry_after or RECHECK_DELAY
                delivery.wait(self._clock.now(), wait)
                if delivery.waited > self._estimate_patience():
                    raise
            await self._clock.sleep(wait)

    async def take(self, *, is_write: bool = False) -> None:
        """Take one request; raise `ThrottledError` with the time until the next."""
        async with self._lock:
            await self._take_requests(1, is_write=is_write)
            if block := self._get_current_reservation():
                block.use(is_write=is_write)
            else:
                self._slice.use()

    async def read_queue_status(self) -> RequestQueueStatus:
        """Return how many jobs wait in the queue, and for how long."""
        return self._build_queue_status(await self._row.read())

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Wake waiters whose turn comes within the next minutes; see the port."""
        ledger = await self._row.read()
        ahead, gone = ledger.owed, list[RequestQueueEntry]()
        returns, unreadable = list[Operation](), list[StoreRow]()
        async with aclosing(self._row.read_entries()) as line:
            async for one in line:
                comes = ledger.estimate_free_at(ahead + 1, is_urgent=False)
                if not is_near(ledger, comes):
                    break
                if isinstance(one, StoreRow):
                    _log.warning("The queue entry %s of %s is unreadable", one.key, one.partition)
                    unreadable.append(one)
                    continue
                turn = QueuedJob(row=one.row, queue_position=one.key, requests_available_at=comes)
                is_late = one.returns_at > comes + RECHECK_DELAY
                if one.is_dead(ledger) or (is_late and not await come(turn)):
                    gone.append(one)
                    continue
                if is_late:
                    returns.append(one.build_earlier_return(comes))
                ahead += one.calls
        await self._write_changes(returns, gone, unreadable)
        return replace(
            self._build_queue_status(ledger),
            reset=tuple(await self._row.read_resets()),
            removed=tuple((row.table, row.partition, row.key) for row in unreadable),
        )

    async def _write_changes(
        self,
        returns: Sequence[Operation],
        gone: Sequence[RequestQueueEntry],
        unreadable: Sequence[StoreRow],
    ) -> None:
        for batch in batched(returns, AT_ONCE, strict=False):
            with suppress(Conflict, NotFound):  # it may have returned in the meantime
                await self._row.store.write(*batch)
        for rows in batched([*gone, *unreadable], AT_ONCE, strict=False):
            await self._row.remove(
                [one for one in rows if isinstance(one, RequestQueueEntry)],
                [one for one in rows if isinstance(one, StoreRow)],
            )

    async def slow_down(self, wait: timedelta) -> None:
        """Pause for `wait` in all instances and lower the rate afterwards."""
        async with self._lock:
            self._slice.drop()
            if block := self._get_current_reservation():
                block.drop()
            await self._row.decide(lambda ledger: (ledger.with_pause(wait), None, ()))

    def _build_queue_status(self, ledger: RequestLedger) -> RequestQueueStatus:
        waiting = (ledger.queue or QueueTotals()).total
        ahead = ledger.owed + waiting.calls
        return RequestQueueStatus(
            row=self._row.name,
            waiting=waiting.waiters,
            requests_per_minute=ledger.calls,
            remaining_today=ledger.left_of_day,
            next_at=ledger.estimate_free_at(1, is_urgent=False) if waiting.waiters else None,
            empty_at=ledger.estimate_free_at(ahead + 1, is_urgent=False)
            if self._slice.size == 1
            else None,
        )

    def _get_current_reservation(self) -> ReservedRequests | None:
        delivery = _delivery.get()
        return delivery.blocks.get(self._limit.name) if delivery else None

    async def _take_requests(
        self, calls: int, *, is_urgent: bool = False, is_write: bool = False
    ) -> None:
        """Get requests from the invocation's reservation or the slice; raise `ThrottledError`.

        Outside of an invocation, the urgent requests are those of people and timers, whose writes
        only correct something.
        """
        delivery, block = _delivery.get(), self._get_current_reservation()
        is_urgent = is_urgent or (delivery.is_urgent if delivery else is_write)
        if block:
            await block.take(calls, is_urgent=is_urgent)
        else:
            await self._slice.take(calls, is_urgent=is_urgent, is_write=is_write)

    def _estimate_patience(self) -> timedelta:
        block = self._get_current_reservation()
        calls = block.most if block and block.most else self._limit.calls
        # The first window may be used up already, and each wait lasts `UNDERWAY` longer.
        needed = (_LEAST_CALLS / calls + 1) * (self._limit.window + UNDERWAY)
        return max(_PATIENCE, min(needed, _LONGEST_PATIENCE))

    async def _begin_reservation(self, need: RequestDemand | None) -> ReservedRequests:
        if need is None or not need.requests:  # it waited for nothing, and has no requests yet
            return ReservedRequests(row=self._row)
        async with self._lock:
            return await ReservedRequests.begin(self._row, need)

    async def _end_reservation(self, block: ReservedRequests) -> None:
        try:
            async with self._lock:
                await block.end()
        except CmkflowError as err:  # it expires
            _log.warning("reservation not released", extra={"text": err})
