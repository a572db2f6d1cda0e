"""Calls where they are scarce: a delivery takes a block before it begins.

What is missing in it comes to it as it comes free, before anybody else is let in. At its end it
tells when it used which call; a block that nothing is heard of lapses, and counts as used.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from shared.adapters.state.budget_state import BudgetState, Decision
from shared.adapters.state.request_ledger import NEVER, UNDERWAY, RequestLedger, Reservation
from shared.adapters.state.request_queue import RequestQueueEntry, ask
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait
from shared.reason import Reason

#: A block counts as lost if nothing is heard of it for so many windows.
_LAPSES = 3
#: For so long, in windows, what a delivery did not use is kept for the next step of its job, as the
#: hold of this name.
_KEPT_FOR_NEXT, _NEXT = 1 / 20, "~"


@dataclass(slots=True, kw_only=True)
class ReservedRequests:
    """The calls that one delivery has in hand."""

    row: BudgetState
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: Whose they are; empty: of a delivery that waits for nobody.
    whose: str = ""
    left: int = 0
    #: Calls that are to come to it as they come free.
    owed: int = 0
    #: It has lapsed by then; never: it has had no call yet.
    until: datetime = NEVER
    #: As many calls are allowed in a window, as was known last; 0: it is not known.
    most: int = 0
    #: When calls of it were made, as far as the row does not know, and which were writes.
    used: list[tuple[datetime, bool]] = field(default_factory=list)

    @classmethod
    async def begin(cls, row: BudgetState, need: RequestDemand) -> Self:
        """Return the block of a delivery that may begin; raises `MustWait`."""
        block, place = (
            cls(row=row, whose=need.job_id),
            row.place(need.queue_position),
        )

        def begin(
            ledger: RequestLedger, line: Sequence[RequestQueueEntry]
        ) -> Decision[Reservation | MustWait]:
            ledger = ledger.with_hold(block._next, None)
            answer, operations = ask(ledger, line, need, place)
            if isinstance(answer, datetime):
                return ledger, _waiting(ledger, answer), operations
            hold = _hold(ledger, answer, min(need.calls, ledger.calls) - answer)
            ledger = ledger.risen() if hold.owed else ledger
            return ledger.with_hold(block.name, hold), hold, operations

        answer = await row.decide(begin, with_line=True)
        if isinstance(answer, MustWait):
            raise answer
        block._take(answer)
        return block

    async def have(self, calls: int, *, is_urgent: bool) -> None:
        """Have so many calls in hand, or as many as a window has; raises `ThrottledError`."""
        if self.row.clock.now() >= self.until:
            self.drop()
        while self.left < calls:
            await self._fill(calls, is_urgent=is_urgent)
            calls = min(calls, self.most)

    def use(self, *, is_write: bool) -> None:
        """Make one of the calls in hand."""
        self.left -= 1
        self.used.append((self.row.clock.now(), is_write))

    def drop(self) -> None:
        """Have none of them any more: they come again as they come free."""
        self.left, self.owed = 0, self.owed + self.left

    async def end(self) -> None:
        """Tell when calls were made; the others are kept for the job's next step."""

        def end(ledger: RequestLedger, _: Sequence[RequestQueueEntry]) -> Decision[None]:
            until = ledger.now + ledger.window * _KEPT_FOR_NEXT
            kept = (
                Reservation(held=0, owed=self.left, until=until)
                if self.left and self.whose
                else None
            )
            return self._told(ledger).with_hold(self._next, kept), None, ()

        if self.until > NEVER:
            await self.row.decide(end)

    async def _fill(self, calls: int, *, is_urgent: bool) -> None:
        """Put what there is into it, and tell what was used of it.

        What other blocks are owed is not kept from it: all of them were let in.
        """

        def fill(
            ledger: RequestLedger, _: Sequence[RequestQueueEntry]
        ) -> Decision[tuple[Reservation, int]]:
            ledger = self._told(ledger).with_hold(self.name, _hold(ledger, self.left, 0))
            wanted = max(self.left + self.owed, min(calls, ledger.calls))
            held = min(self.left + ledger.some(is_urgent=is_urgent), wanted)
            hold = _hold(ledger, held, wanted - held)
            return ledger.risen().with_hold(self.name, hold), (hold, ledger.calls), ()

        hold, self.most = await self.row.decide(fill)
        self._take(hold)
        self.used.clear()

    def _take(self, hold: Reservation) -> None:
        self.left, self.owed, self.until = hold.held, hold.owed, hold.until

    def _told(self, ledger: RequestLedger) -> RequestLedger:
        """Return the ledger without it, but with the calls made of it since it was told of it."""
        for moment, is_write in self.used:
            ledger = ledger.made(moment + UNDERWAY, is_write=is_write)
        return ledger.with_hold(self.name, None)

    @property
    def _next(self) -> str:
        return f"{self.whose}{_NEXT}"


def _hold(ledger: RequestLedger, held: int, owed: int) -> Reservation:
    return Reservation(held=held, owed=owed, until=ledger.now + _LAPSES * ledger.window)


def _waiting(ledger: RequestLedger, until: datetime) -> MustWait:
    is_day_over = ledger.left_of_day == 0
    why = "has had its calls of 24 hours" if is_day_over else "takes few calls"
    text = f"It waits for its turn: {ledger.limit.name} {why}."
    return MustWait(text, until=until, code=Reason.THROTTLED)
