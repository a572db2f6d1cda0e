"""Limit requests to a service for all instances of the app, with rows of the store.

While many requests are left, an instance leases slices (reserved_slices.py). While few are left, an
invocation takes a reservation (reserved_requests.py) or waits in the queue (request_queue.py).
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
from shared.adapters.state.request_queue import AT_ONCE, RequestQueueEntry, is_turn_near
from shared.adapters.state.reserved_requests import ReservedRequests
from shared.adapters.state.reserved_slices import ReservedSlice
from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus
from shared.errors import CmkflowError, Conflict, NotFound, ThrottledError
from shared.logs.fields import get_product_log
from shared.ports import Clock, Operation, RequestBudget, Store, StoreRow

#: Maximum total wait of an invocation for requests; longer if the requests need longer. The
#: most requests that an invocation sends before it saves its result are eleven, for a flow whose
#: definition is hidden. The host ends an invocation after ten minutes (host.json).
_PATIENCE = timedelta(minutes=3)
_LEAST_CALLS = 11
_LONGEST_PATIENCE = timedelta(minutes=8)

_log = get_product_log(__name__)


@dataclass(slots=True)
class _Invocation:
    """The current invocation: what it has reserved, and how long it has waited."""

    is_urgent: bool
    #: By name of the budget.
    reservations: dict[str, ReservedRequests] = field(default_factory=dict)
    waited: timedelta = timedelta(0)
    #: End of the current wait. Concurrent requests wait at the same time.
    waits_until: datetime = NEVER

    def add_wait(self, now: datetime, wait: timedelta) -> None:
        """Count a wait that starts now, except where it overlaps a counted one."""
        until = now + wait
        self.waited += max(timedelta(0), until - max(now, self.waits_until))
        self.waits_until = max(until, self.waits_until)


_invocation: ContextVar[_Invocation | None] = ContextVar("invocation", default=None)


class StoredRequestBudget(RequestBudget):
    """The request budget of a service, as this instance of the app uses it."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        if limit.calls < 1:
            raise ValueError("a budget must allow at least one request")
        self._clock = clock
        self._limit = limit
        self._row = BudgetState(store, clock, limit)
        self._slice = ReservedSlice(self._row)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        invocation, reservation = _Invocation(need is not None and need.is_urgent), None
        if self._slice.size == 1 or (need is not None and need.requests > self._slice.size):
            reservation = await self._begin_reservation(need)
            invocation.reservations[self._limit.name] = reservation
        before = _invocation.set(invocation)
        try:
            yield
        finally:
            _invocation.reset(before)
            if reservation:
                await self._end_reservation(reservation)

    @property
    def is_in_invocation(self) -> bool:
        return _invocation.get() is not None

    async def wait_for_requests(self, count: int = 1, *, is_urgent: bool = False) -> None:
        """Wait until this many requests are available. Outside an invocation, do not wait."""
        invocation = _invocation.get()
        if invocation is None:
            return
        while True:
            try:
                async with self._lock:
                    await self._take_requests(count, is_urgent=is_urgent)
                break
            except ThrottledError as err:
                wait = err.retry_after or RECHECK_DELAY
                invocation.add_wait(self._clock.now(), wait)
                if invocation.waited > self._compute_longest_wait():
                    raise
            await self._clock.sleep(wait)

    async def take(self, *, is_write: bool = False) -> None:
        async with self._lock:
            await self._take_requests(1, is_write=is_write)
            if reservation := self._get_current_reservation():
                reservation.note_sent_request(is_write=is_write)
            else:
                self._slice.note_sent_request()

    async def read_queue_status(self) -> RequestQueueStatus:
        return self._build_queue_status(await self._row.read())

    async def wake_up_next_jobs(
        self, wake: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        ledger = await self._row.read()
        ahead, gone = ledger.owed_count, list[RequestQueueEntry]()
        returns, unreadable = list[Operation](), list[StoreRow]()
        async with aclosing(self._row.read_entries()) as line:
            async for one in line:
                comes = ledger.estimate_free_at(ahead + 1, is_urgent=False)
                if not is_turn_near(ledger, comes):
                    break
                if isinstance(one, StoreRow):
                    _log.warning("The queue entry %s of %s is unreadable", one.key, one.partition)
                    unreadable.append(one)
                    continue
                turn = QueuedJob(row=one.row, queue_position=one.key, requests_available_at=comes)
                is_late = one.returns_at > comes + RECHECK_DELAY
                if one.is_abandoned(ledger) or (is_late and not await wake(turn)):
                    gone.append(one)
                    continue
                if is_late:
                    returns.append(one.build_earlier_return(comes))
                ahead += one.request_count
        await self._write_queue_changes(returns, gone, unreadable)
        return replace(
            self._build_queue_status(ledger),
            reset=tuple(await self._row.read_reset_rows()),
            removed=tuple((row.table, row.partition, row.key) for row in unreadable),
        )

    async def _write_queue_changes(
        self,
        returns: Sequence[Operation],
        gone: Sequence[RequestQueueEntry],
        unreadable: Sequence[StoreRow],
    ) -> None:
        for batch in batched(returns, AT_ONCE, strict=False):
            with suppress(Conflict, NotFound):  # it may have returned in the meantime
                await self._row.store.write(*batch)
        for rows in batched([*gone, *unreadable], AT_ONCE, strict=False):
            await self._row.remove_entries(
                [one for one in rows if isinstance(one, RequestQueueEntry)],
                [one for one in rows if isinstance(one, StoreRow)],
            )

    async def slow_down(self, wait: timedelta) -> None:
        async with self._lock:
            self._slice.discard_unsent_requests()
            if reservation := self._get_current_reservation():
                reservation.suspend_unsent_requests()
            await self._row.write_decision(lambda ledger: (ledger.with_pause(wait), None, ()))

    def _build_queue_status(self, ledger: RequestLedger) -> RequestQueueStatus:
        waiting = (ledger.queue or QueueTotals()).total
        ahead = ledger.owed_count + waiting.calls
        return RequestQueueStatus(
            row=self._row.name,
            waiting=waiting.waiters,
            requests_per_minute=ledger.calls,
            remaining_today=ledger.daily_requests_left,
            next_at=ledger.estimate_free_at(1, is_urgent=False) if waiting.waiters else None,
            empty_at=ledger.estimate_free_at(ahead + 1, is_urgent=False)
            if self._slice.size == 1
            else None,
        )

    def _get_current_reservation(self) -> ReservedRequests | None:
        invocation = _invocation.get()
        return invocation.reservations.get(self._limit.name) if invocation else None

    async def _take_requests(
        self, calls: int, *, is_urgent: bool = False, is_write: bool = False
    ) -> None:
        """Take requests from the invocation's reservation, or else from this instance's slice.

        Outside an invocation, writes count as urgent: those of people and timers only correct
        something. Raises `ThrottledError` if there are too few requests.
        """
        invocation, reservation = _invocation.get(), self._get_current_reservation()
        is_urgent = is_urgent or (invocation.is_urgent if invocation else is_write)
        if reservation:
            await reservation.ensure_reserved(calls, is_urgent=is_urgent)
        else:
            await self._slice.ensure_leased(calls, is_urgent=is_urgent, is_write=is_write)

    def _compute_longest_wait(self) -> timedelta:
        reservation = self._get_current_reservation()
        calls = reservation.most if reservation and reservation.most else self._limit.calls
        # The first window may be used up already, and each wait lasts `UNDERWAY` longer.
        needed = (_LEAST_CALLS / calls + 1) * (self._limit.window + UNDERWAY)
        return max(_PATIENCE, min(needed, _LONGEST_PATIENCE))

    async def _begin_reservation(self, need: RequestDemand | None) -> ReservedRequests:
        if need is None or not need.requests:  # it waited for nothing, and has no requests yet
            return ReservedRequests(row=self._row)
        async with self._lock:
            return await ReservedRequests.reserve_or_queue(self._row, need)

    async def _end_reservation(self, reservation: ReservedRequests) -> None:
        try:
            async with self._lock:
                await reservation.end()
        except CmkflowError as err:  # it expires
            _log.warning("reservation not released", extra={"text": err})
