"""Calls where they are plenty: leased in slices, so that not every call costs a write.

A slice is to be used within a twentieth of the window, and counts for that much longer; within a
whole window as long as most calls are free. With the next one it is told what was used of it.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.adapters.state.budget_state import BudgetState, Decision
from shared.adapters.state.request_ledger import NEVER, UNDERWAY, RequestLedger
from shared.adapters.state.request_queue import RequestQueueEntry

#: Share of the window in which a slice is to be used: while calls are few, and while most are free.
_USE_SHARE, _LONG_USE_SHARE = 1 / 20, 1
#: Slices a whole budget is cut into at most.
_SLICES = 40


class ReservedSlice:
    """The calls that this instance has in hand, one slice after the other."""

    def __init__(self, row: BudgetState) -> None:
        """Lease from the row that all instances share."""
        self._row = row
        self.size = -(-row.limit.calls // _SLICES)
        self._left = 0
        self._use_until = NEVER
        #: Until when the row counts how many calls of the last one, and when one was made of it.
        self._told = (NEVER, 0)
        self._used_at = NEVER

    async def have(self, calls: int, *, is_urgent: bool, is_write: bool) -> None:
        """Have calls in hand; raises `ThrottledError`."""
        if self._left < calls or self._row.clock.now() >= self._use_until:
            may_write = is_write and self.size == 1
            await self._lease(calls, is_urgent=is_urgent, may_write=may_write)

    def use(self) -> None:
        """Make one of the calls in hand."""
        self._left -= 1
        self._used_at = self._row.clock.now()

    def drop(self) -> None:
        """Make no other call of it."""
        self._left = 0

    async def _lease(self, calls: int, *, is_urgent: bool, may_write: bool) -> None:
        """Lease a slice; of what is kept for the urgent no more than is asked for.

        Where a slice is one call, it is known what that is.
        """

        window = self._row.limit.window
        used = (self._used_at + UNDERWAY + window, self._told[1] - self._left)

        def lease(
            ledger: RequestLedger, _: Sequence[RequestQueueEntry]
        ) -> Decision[tuple[int, datetime]]:
            ledger = ledger.corrected(self._told, used)
            ledger = ledger.unmade(self._use_until, self._left) if self._left else ledger
            count = min(ledger.free(is_urgent=False, may_write=may_write), max(self.size, calls))
            if not count:
                count = min(ledger.some(is_urgent=is_urgent, may_write=may_write), calls)
            is_quiet = self.size > 1 and ledger.room - count > ledger.calls / 2
            until = ledger.now + ledger.window * (_LONG_USE_SHARE if is_quiet else _USE_SHARE)
            ledger = ledger.risen() if count < self.size else ledger
            return ledger.made(until, count, is_write=may_write), (count, until), ()

        self._left, self._use_until = await self._row.decide(lease)
        self._told = (self._use_until + window, self._left)
