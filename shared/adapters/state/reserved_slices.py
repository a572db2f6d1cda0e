"""Lease requests in slices while many are left, so that not every request needs a write.

A slice must be used within a twentieth of the window, or within a whole window while most requests
are free. The next lease reports how much of the slice was used.
"""

from datetime import datetime

from shared.adapters.state.budget_state import BudgetState, Decision
from shared.adapters.state.request_ledger import NEVER, UNDERWAY, RequestLedger

#: Share of the window in which a slice must be used: with few free requests, and with most free.
_USE_SHARE, _LONG_USE_SHARE = 1 / 20, 1
#: Maximum number of slices per budget.
_SLICES = 40


class ReservedSlice:
    """The slice of requests that this instance has leased."""

    def __init__(self, row: BudgetState) -> None:
        self._row = row
        self.size = -(-row.limit.calls // _SLICES)
        self._left = 0
        self._use_until = NEVER
        #: For the last slice: when its requests stop counting, how many count, and the last use.
        self._leased = (NEVER, 0)
        self._used_at = NEVER

    async def ensure_leased(self, calls: int, *, is_urgent: bool, is_write: bool) -> None:
        """Lease another slice if the current one is expired or has too few requests.

        Raises `ThrottledError` if too few are available.
        """
        if self._left < calls or self._row.clock.now() >= self._use_until:
            may_write = is_write and self.size == 1
            await self._lease_slice(calls, is_urgent=is_urgent, may_write=may_write)

    def note_sent_request(self) -> None:
        """Count one leased request as sent."""
        self._left -= 1
        self._used_at = self._row.clock.now()

    def discard_unsent_requests(self) -> None:
        """Send no more requests of the current slice."""
        self._left = 0

    async def _lease_slice(self, calls: int, *, is_urgent: bool, may_write: bool) -> None:
        """Lease a slice. If only urgent requests are left, it has no more of them than needed."""

        window = self._row.limit.window
        used = (self._used_at + UNDERWAY + window, self._leased[1] - self._left)

        def take_slice(ledger: RequestLedger) -> Decision[tuple[int, datetime]]:
            ledger = ledger.with_sent_requests(self._leased, used)
            ledger = (
                ledger.without_unsent_requests(self._use_until, self._left)
                if self._left
                else ledger
            )
            count = min(
                ledger.count_free_requests(is_urgent=False, may_write=may_write),
                max(self.size, calls),
            )
            if not count:
                count = min(
                    ledger.require_free_requests(is_urgent=is_urgent, may_write=may_write), calls
                )
            is_quiet = self.size > 1 and ledger.unreserved_count - count > ledger.calls / 2
            until = ledger.now + ledger.window * (_LONG_USE_SHARE if is_quiet else _USE_SHARE)
            ledger = ledger.with_higher_limit() if count < self.size else ledger
            return ledger.with_requests(until, count, is_write=may_write), (count, until), ()

        self._left, self._use_until = await self._row.write_decision(take_slice)
        self._leased = (self._use_until + window, self._left)
