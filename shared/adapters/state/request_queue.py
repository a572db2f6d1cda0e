"""The queue of those who wait for requests: who is admitted, and when the others return.

Each waiter is a row: its key has the order, its columns the number of requests and the time to
return. No one is admitted while someone earlier in the queue is about to return, or while a started
reservation lacks requests. A waiter that does not return in time counts as gone and blocks no one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, TypeAdapter

from shared.adapters.state.request_ledger import RECHECK_DELAY, RequestLedger
from shared.domain.request_demand import RequestDemand
from shared.ports import DeleteRow, Operation, ReplaceRow, Scalar, StoreRow, UpsertRow

#: Rows per write: a batch has at most a hundred operations.
AT_ONCE = 50
#: Share of the window for which a request is kept for the first in the queue, and how
#: many windows later it counts as gone.
_KEPT_FOR, _GRACE = 1 / 10, 1
#: Waiters whose turn comes within this many windows return when a request may be available.
_NEAR = 2
#: A late time to return is better too late, because waiters are woken earlier: so much more is
#: expected of those before it. A waiter that returns too early costs an invocation.
_MORE = 1.4
#: The column with the entry.
_STORED = "waiter"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    comes: AwareDatetime
    calls: Annotated[int, Field(ge=1, le=1_000_000)]
    later: Annotated[int, Field(ge=0, le=1_000_000)]
    row: tuple[str, str, str]


_adapter = TypeAdapter(_Stored)


@dataclass(frozen=True, slots=True)
class RequestQueueEntry:
    """An entry of the queue. Its key has the order."""

    kept: StoreRow
    stored: _Stored

    @classmethod
    def read(cls, row: StoreRow) -> Self:
        """Return the entry in a row; raise `ValueError` if it is unreadable."""
        return cls(row, _adapter.validate_json(str(row.columns.get(_STORED, ""))))

    @classmethod
    def build_waiting_entry(
        cls, place: StoreRow, need: RequestDemand, comes: datetime, calls: int
    ) -> UpsertRow:
        """Return the operation that stores a waiter with its time to return."""
        stored = _Stored(comes=comes, calls=calls, later=need.later_requests, row=need.row)
        return UpsertRow(replace(place, columns=_build_columns(stored)))

    @property
    def key(self) -> str:
        """Return its key in the queue."""
        return self.kept.key

    @property
    def calls(self) -> int:
        """Return how many requests it needs."""
        return self.stored.calls

    @property
    def later(self) -> int:
        """Return how many requests its later invocations need."""
        return self.stored.later

    @property
    def comes(self) -> datetime:
        """Return its time to return."""
        return self.stored.comes

    @property
    def row(self) -> tuple[str, str, str]:
        """Return the waiting row: table, partition and key."""
        return self.stored.row

    @property
    def removal(self) -> DeleteRow:
        """Return the operation that removes it from the queue."""
        return DeleteRow(replace(self.kept, etag=None))

    def build_earlier_return(self, comes: datetime) -> ReplaceRow:
        """Return the operation that moves its return forward, if it is unchanged."""
        return ReplaceRow(
            replace(self.kept, columns=_build_columns(replace(self.stored, comes=comes)))
        )

    def is_dead(self, ledger: RequestLedger) -> bool:
        """Return whether it is long overdue."""
        return self.comes < ledger.now - ledger.window * _GRACE


def _build_columns(stored: _Stored) -> dict[str, Scalar]:
    return {_STORED: _adapter.dump_json(stored).decode()}


def ask(
    ledger: RequestLedger, line: Sequence[RequestQueueEntry], need: RequestDemand, place: StoreRow
) -> tuple[int | datetime, Sequence[Operation]]:
    """Return the number of admitted requests or the time to return, and the changes to write.

    `place` is the entry in the queue until it is admitted.
    """
    calls = min(need.requests, ledger.calls)
    others = [one for one in line if one.key != place.key]
    gone = [one.removal for one in others if one.is_dead(ledger)][:AT_ONCE]
    first = [one for one in others if not one.is_dead(ledger) and one.key < place.key]
    soon = ledger.now + ledger.window * _KEPT_FOR
    expected = sum(one.calls for one in first if one.comes <= soon)
    kept = ledger.owed + expected
    count = min(ledger.free(kept=kept, is_urgent=need.is_urgent), calls)
    opens = ledger.free_at(kept + 1, is_urgent=need.is_urgent)
    if not count and (expected or opens > soon):
        comes = _estimate_return(ledger, first, is_urgent=need.is_urgent)
        return comes, [RequestQueueEntry.build_waiting_entry(place, need, comes, calls), *gone]
    left = [one.removal for one in line if one.key == place.key]
    return count, [*left, *gone]


def _estimate_return(
    ledger: RequestLedger, first: Sequence[RequestQueueEntry], *, is_urgent: bool
) -> datetime:
    """Return the time to return: soon, or at its probable turn.

    Late waiters are woken earlier, because those before them may need less, or give up.
    """
    ahead = ledger.owed + sum(one.calls for one in first)
    at_once = ledger.free_at(ahead + 1, is_urgent=is_urgent)
    if is_near(ledger, at_once):
        return max(at_once, ledger.now + RECHECK_DELAY)
    later = round(_MORE * sum(one.later for one in first))
    return ledger.free_at(ahead + later + 1, is_urgent=is_urgent)


def is_near(ledger: RequestLedger, comes: datetime) -> bool:
    """Return whether it comes within the next minutes."""
    return comes <= ledger.now + ledger.window * _NEAR
