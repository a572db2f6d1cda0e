"""A service's budget of calls, shared by all instances of the app through rows of the store.

In *no* span of one window's length are there more calls than the budget, wherever the span begins,
and in no hour or day more than are set for these (request_tally.py).
Where calls are plenty an instance leases slices of it (reserved_slices.py). Where they are scarce a
delivery takes a block (reserved_requests.py), or stands in the line (request_queue.py).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched

from shared.adapters.state.budget_state import BudgetState
from shared.adapters.state.request_ledger import AGAIN, NEVER, BudgetLimit, RequestLedger
from shared.adapters.state.request_queue import AT_ONCE, RequestQueueEntry, is_near
from shared.adapters.state.reserved_requests import ReservedRequests
from shared.adapters.state.reserved_slices import ReservedSlice
from shared.domain.request_demand import QueuedJob, RequestDemand, RequestQueueStatus
from shared.errors import CmkflowError, Conflict, NotFound, ThrottledError
from shared.log_fields import product_log
from shared.ports import Clock, DeleteRow, Operation, RequestBudget, Store

#: How long one delivery waits for calls, all together; longer where so many calls take longer. The
#: most calls that a delivery makes before it has kept what it learnt are eight: of a flow whose
#: definition is hidden. The host ends a delivery after ten minutes (host.json).
_PATIENCE = timedelta(minutes=3)
_LEAST_CALLS = 8
_LONGEST_PATIENCE = timedelta(minutes=8)

_log = product_log(__name__)


@dataclass(slots=True)
class _Delivery:
    """What is done inside of `StoredRequestBudget.block`: it waits for calls of any budget."""

    is_urgent: bool
    #: By name of the budget.
    blocks: dict[str, ReservedRequests] = field(default_factory=dict)
    waited: timedelta = timedelta(0)
    #: Until when it waits now. What it asks side by side waits at the same time.
    waits_until: datetime = NEVER

    def wait(self, now: datetime, wait: timedelta) -> None:
        """Count a wait that begins now, but for what of it is counted already."""
        until = now + wait
        self.waited += max(timedelta(0), until - max(now, self.waits_until))
        self.waits_until = max(until, self.waits_until)


_delivery: ContextVar[_Delivery | None] = ContextVar("delivery", default=None)


class StoredRequestBudget(RequestBudget):
    """Calls to one service, for this instance."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Lease from rows of `store`."""
        if limit.calls < 1:
            raise ValueError("a budget holds at least one call")
        self._clock = clock
        self._limit = limit
        self._row = BudgetState(store, clock, limit)
        self._slice = ReservedSlice(self._row)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        """Work inside with a block of calls; see the port."""
        delivery, block = _Delivery(need is not None and need.is_urgent), None
        if self._slice.size == 1 or (need is not None and need.calls > self._slice.size):
            block = await self._begun(need)
            delivery.blocks[self._limit.name] = block
        before = _delivery.set(delivery)
        try:
            yield
        finally:
            _delivery.reset(before)
            if block:
                await self._end(block)

    @property
    def is_waited_for(self) -> bool:
        """Say whether `ready` waits: it does in a delivery."""
        return _delivery.get() is not None

    async def wait_for(self, calls: int = 1, *, is_urgent: bool = False) -> None:
        """Come back when there are calls at hand; outside of a delivery `take` says if so."""
        delivery = _delivery.get()
        if delivery is None:
            return
        while True:
            try:
                async with self._lock:
                    await self._have(calls, is_urgent=is_urgent)
                break
            except ThrottledError as err:
                wait = err.retry_after or AGAIN
                delivery.wait(self._clock.now(), wait)
                if delivery.waited > self._patience():
                    raise
            await self._clock.sleep(wait)

    async def take(self, *, is_write: bool = False) -> None:
        """Take one call; raises `ThrottledError` with the time until there is one again."""
        async with self._lock:
            await self._have(1, is_write=is_write)
            if block := self._block():
                block.use(is_write=is_write)
            else:
                self._slice.use()

    async def queue_status(self) -> RequestQueueStatus:
        """Return who waits at this moment, and for how long."""
        ledger, line, _ = await self._row.read()
        return self._shown(ledger, line)

    async def promote_waiters(
        self, come: Callable[[QueuedJob], Awaitable[bool]]
    ) -> RequestQueueStatus:
        """Have those come sooner whose turn comes within the next minutes; see the port."""
        ledger, line, unreadable = await self._row.read()
        ahead, operations = ledger.owed, list[Operation](DeleteRow(row) for row in unreadable)
        for row in unreadable:
            _log.warning("the place %s in the line of %s cannot be read", row.key, row.partition)
        for one in line:
            comes = ledger.free_at(ahead + 1, is_urgent=False)
            if not is_near(ledger, comes):
                break
            if one.is_dead(ledger):
                operations.append(one.removal)
                continue
            if one.comes > comes + AGAIN:
                if not await come(
                    QueuedJob(row=one.row, queue_position=one.key, requests_available_at=comes)
                ):
                    operations.append(one.removal)
                    continue
                operations.append(one.called(comes))
            ahead += one.calls
        for batch in batched(operations, AT_ONCE, strict=False):
            with suppress(Conflict, NotFound):  # who was there by itself is not called up
                await self._row.store.write(*batch)
        removed = [(row.table, row.partition, row.key) for row in unreadable]
        return replace(
            self._shown(ledger, line),
            reset=tuple(await self._row.resets()),
            removed=tuple(removed),
        )

    async def refused(self, wait: timedelta) -> None:
        """Give out nothing for a while, in every instance, and less after it."""
        async with self._lock:
            self._slice.drop()
            if block := self._block():
                block.drop()
            await self._row.decide(lambda ledger, _: (ledger.refused(wait), None, ()))

    def _shown(
        self, ledger: RequestLedger, line: Sequence[RequestQueueEntry]
    ) -> RequestQueueStatus:
        ahead = ledger.owed + sum(one.calls for one in line)
        return RequestQueueStatus(
            row=self._row.name,
            waiting=len(line),
            requests_per_minute=ledger.calls,
            remaining_today=ledger.left_of_day,
            next_at=ledger.free_at(1, is_urgent=False) if line else None,
            empty_at=ledger.free_at(ahead + 1, is_urgent=False) if self._slice.size == 1 else None,
        )

    def _block(self) -> ReservedRequests | None:
        delivery = _delivery.get()
        return delivery.blocks.get(self._limit.name) if delivery else None

    async def _have(self, calls: int, *, is_urgent: bool = False, is_write: bool = False) -> None:
        """Have calls in hand, of the delivery's block or of the slice; raises `ThrottledError`.

        Outside of a delivery people and timers look, and write only what mends something.
        """
        delivery, block = _delivery.get(), self._block()
        is_urgent = is_urgent or (delivery.is_urgent if delivery else is_write)
        if block:
            await block.have(calls, is_urgent=is_urgent)
        else:
            await self._slice.have(calls, is_urgent=is_urgent, is_write=is_write)

    def _patience(self) -> timedelta:
        block = self._block()
        calls = block.most if block and block.most else self._limit.calls
        return max(_PATIENCE, min(_LEAST_CALLS * self._limit.window / calls, _LONGEST_PATIENCE))

    async def _begun(self, need: RequestDemand | None) -> ReservedRequests:
        if need is None or not need.calls:  # it waits for nobody, and has no call yet
            return ReservedRequests(row=self._row)
        async with self._lock:
            return await ReservedRequests.begin(self._row, need)

    async def _end(self, block: ReservedRequests) -> None:
        try:
            async with self._lock:
                await block.end()
        except CmkflowError as err:  # it lapses
            _log.warning("reservation not released", extra={"text": err})
