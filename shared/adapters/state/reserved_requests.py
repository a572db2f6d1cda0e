"""Reserve scarce requests for an invocation before it starts.

Missing requests are added as they become available, before any other invocation is admitted. At its
end, the invocation reports when it sent each request. A reservation without a report expires and
counts as used.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from shared.adapters.state.budget_state import BudgetState, Decision
from shared.adapters.state.request_ledger import NEVER, UNDERWAY, RequestLedger, Reservation
from shared.adapters.state.request_queue import QueueView, admit_or_queue
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait
from shared.reason import Reason

#: Windows without a report after which a reservation counts as lost.
_LAPSES = 3
#: Windows for which unused requests are kept for the next step of the job, as the
#: reservation of this name.
_KEPT_FOR_NEXT, _NEXT = 1 / 20, "~"


@dataclass(slots=True, kw_only=True)
class ReservedRequests:
    """The reserved requests of one invocation."""

    row: BudgetState
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: Key of the reservation; empty for an invocation that waited for nothing.
    whose: str = ""
    left: int = 0
    #: Requests that it gets as they become available.
    owed: int = 0
    #: End of the reservation; the maximum time before its first request.
    until: datetime = NEVER
    #: Last known limit per window; 0: unknown.
    most: int = 0
    #: Unreported requests: the time of each, and whether it was a write.
    used: list[tuple[datetime, bool]] = field(default_factory=list)

    @classmethod
    async def reserve_or_queue(cls, row: BudgetState, need: RequestDemand) -> Self:
        """Return the reservation of an invocation that may start.

        Raises `MustWait` if the invocation has to wait in the queue.
        """
        block = cls(row=row, whose=need.job_id)

        def admit_invocation(
            ledger: RequestLedger, line: QueueView
        ) -> Decision[Reservation | MustWait]:
            answer, ledger, operations = admit_or_queue(
                ledger.with_reservation(block._name_of_next, None), line, need
            )
            if isinstance(answer, datetime):
                return ledger, _build_must_wait(ledger, answer), operations
            hold = _build_reservation(ledger, answer, min(need.requests, ledger.calls) - answer)
            ledger = ledger.with_higher_limit() if hold.owed else ledger
            return ledger.with_reservation(block.name, hold), hold, operations

        answer = await row.write_queue_decision(admit_invocation, need.queue_position)
        if isinstance(answer, MustWait):
            raise answer
        block._apply_reservation(answer)
        return block

    async def ensure_reserved(self, calls: int, *, is_urgent: bool) -> None:
        """Make sure that this many requests are reserved, at most as many as a window has.

        Raises `ThrottledError` if too few are available.
        """
        if self.row.clock.now() >= self.until:
            self.suspend_unsent_requests()
        while self.left < calls:
            await self._refill_requests(calls, is_urgent=is_urgent)
            calls = min(calls, self.most)

    def note_sent_request(self, *, is_write: bool) -> None:
        """Count one reserved request as sent."""
        self.left -= 1
        self.used.append((self.row.clock.now(), is_write))

    def suspend_unsent_requests(self) -> None:
        """Send no more of the reserved requests until they are available again."""
        self.left, self.owed = 0, self.owed + self.left

    async def end(self) -> None:
        """Report the used requests, and keep the unused ones for the job's next step."""

        def settle_reservation(ledger: RequestLedger) -> Decision[None]:
            until = ledger.now + ledger.window * _KEPT_FOR_NEXT
            kept = (
                Reservation(held=0, owed=self.left, until=until)
                if self.left and self.whose
                else None
            )
            return (
                self._report_used_requests(ledger).with_reservation(self._name_of_next, kept),
                None,
                (),
            )

        if self.until > NEVER:
            await self.row.write_decision(settle_reservation)

    async def _refill_requests(self, calls: int, *, is_urgent: bool) -> None:
        """Add available requests to the reservation, and report the used ones.

        The available requests include those owed to other reservations, because all were admitted.
        """

        def fill_reservation(ledger: RequestLedger) -> Decision[tuple[Reservation, int]]:
            ledger = self._report_used_requests(ledger).with_reservation(
                self.name, _build_reservation(ledger, self.left, 0)
            )
            wanted = max(self.left + self.owed, min(calls, ledger.calls))
            held = min(self.left + ledger.require_free_requests(is_urgent=is_urgent), wanted)
            hold = _build_reservation(ledger, held, wanted - held)
            return (
                ledger.with_higher_limit().with_reservation(self.name, hold),
                (hold, ledger.calls),
                (),
            )

        hold, self.most = await self.row.write_decision(fill_reservation)
        self._apply_reservation(hold)
        self.used.clear()

    def _apply_reservation(self, hold: Reservation) -> None:
        self.left, self.owed, self.until = hold.held, hold.owed, hold.until

    def _report_used_requests(self, ledger: RequestLedger) -> RequestLedger:
        for moment, is_write in self.used:
            ledger = ledger.with_requests(moment + UNDERWAY, is_write=is_write)
        return ledger.with_reservation(self.name, None)

    @property
    def _name_of_next(self) -> str:
        return f"{self.whose}{_NEXT}"


def _build_reservation(ledger: RequestLedger, held: int, owed: int) -> Reservation:
    return Reservation(held=held, owed=owed, until=ledger.now + _LAPSES * ledger.window)


def _build_must_wait(ledger: RequestLedger, until: datetime) -> MustWait:
    is_day_over = ledger.daily_requests_left == 0
    why = "has reached its daily limit" if is_day_over else "accepts few requests now"
    text = f"Waiting for requests: {ledger.limit.name} {why}."
    return MustWait(text, until=until, code=Reason.THROTTLED)
