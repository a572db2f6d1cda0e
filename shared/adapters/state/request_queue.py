"""Decide which job in the request queue gets requests, and when the others try again.

Each waiting job is a row: its key has the order, its columns the number of requests and the time to
return. A job that does not return in time counts as gone and blocks no other.

An invocation reads only the entries whose turn may come within the next minutes. Of the later
entries it knows the totals (queue_totals.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, TypeAdapter

from shared.adapters.state.queue_totals import QueueTotals, Waiting
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
#: Waiters that are always read, because the time of a turn is more exact than by the totals.
_READ_EXACTLY = 50
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
    """A waiting job in the queue. Its key has the order."""

    kept: StoreRow
    stored: _Stored

    @classmethod
    def parse(cls, row: StoreRow) -> Self:
        """Return the entry in a row. Raises `ValueError` if it is unreadable."""
        return cls(row, _adapter.validate_json(str(row.columns.get(_STORED, ""))))

    @property
    def key(self) -> str:
        """Return the key of the entry in the queue."""
        return self.kept.key

    @property
    def request_count(self) -> int:
        """Return how many requests the job needs."""
        return self.stored.calls

    @property
    def waiting(self) -> Waiting:
        """Return what the job adds to the totals of the queue."""
        return Waiting(1, self.stored.calls, self.stored.later)

    @property
    def returns_at(self) -> datetime:
        """Return the time at which the job tries again."""
        return self.stored.comes

    @property
    def row(self) -> tuple[str, str, str]:
        """Return the table, partition and key of the waiting job's row."""
        return self.stored.row

    @property
    def removal(self) -> DeleteRow:
        """Return the operation that removes the entry.

        The operation fails if the entry has changed.
        """
        return DeleteRow(self.kept)

    def build_earlier_return(self, comes: datetime) -> ReplaceRow:
        """Return the operation that moves the job's return to an earlier time.

        The operation fails if the entry has changed.
        """
        return ReplaceRow(
            replace(self.kept, columns=_build_columns(replace(self.stored, comes=comes)))
        )

    def is_abandoned(self, ledger: RequestLedger) -> bool:
        """Return whether the job should have returned long ago, so that it no longer counts."""
        return self.returns_at < ledger.now - ledger.window * _GRACE


def _build_columns(stored: _Stored) -> dict[str, Scalar]:
    return {_STORED: _adapter.dump_json(stored).decode()}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The part of the queue that an invocation has read, from the first entry to its own place."""

    #: The place of the invocation in the queue until it is admitted.
    place: StoreRow
    #: The entries before that place, in order; not all of them if its turn is not near.
    first: Sequence[RequestQueueEntry] = ()
    has_all: bool = True
    #: Its own entry.
    own: RequestQueueEntry | None = None


def count_waiters(entries: Iterable[RequestQueueEntry]) -> QueueTotals:
    """Return the totals of these entries of a queue."""
    totals = QueueTotals()
    for one in entries:
        totals = totals.add_waiting(one.key, one.waiting)
    return totals


def build_waiter_removal(
    ledger: RequestLedger, gone: Sequence[RequestQueueEntry]
) -> tuple[RequestLedger, Sequence[Operation]]:
    """Return the ledger without these jobs, and the operations that remove their entries."""
    totals = ledger.queue or QueueTotals()
    for one in gone:
        totals = totals.add_waiting(one.key, one.waiting, times=-1)
    return replace(ledger, queue=totals), [one.removal for one in gone]


def admit_or_queue(
    ledger: RequestLedger, line: QueueView, need: RequestDemand
) -> tuple[int | datetime, RequestLedger, Sequence[Operation]]:
    """Admit an invocation, or give it a place in the queue.

    Returns the number of admitted requests, or else the time to return; the ledger with the new
    totals; and the operations that change the queue.
    """
    calls = min(need.requests, ledger.calls)
    gone = [one for one in line.first if one.is_abandoned(ledger)][:AT_ONCE]
    first = [one for one in line.first if not one.is_abandoned(ledger)]
    left = [*gone, line.own] if line.own else gone
    soon = ledger.now + ledger.window * _KEPT_FOR
    expected = sum(one.request_count for one in first if one.returns_at <= soon)
    kept = ledger.owed_count + expected
    count = min(ledger.count_free_requests(kept=kept, is_urgent=need.is_urgent), calls)
    opens = ledger.estimate_free_at(kept + 1, is_urgent=need.is_urgent)
    if count or not (expected or opens > soon):
        ledger, removals = build_waiter_removal(ledger, left)
        return count, ledger, removals
    comes = _estimate_return_at(ledger, line, first, is_urgent=need.is_urgent)
    after, _ = build_waiter_removal(ledger, left)
    stored = _Stored(comes=comes, calls=calls, later=need.later_requests, row=need.row)
    waiter = RequestQueueEntry(replace(line.place, columns=_build_columns(stored)), stored)
    totals = (after.queue or QueueTotals()).add_waiting(waiter.key, waiter.waiting)
    removals = [one.removal for one in gone]
    return comes, replace(after, queue=totals), [UpsertRow(waiter.kept), *removals]


def _estimate_return_at(
    ledger: RequestLedger,
    line: QueueView,
    first: Sequence[RequestQueueEntry],
    *,
    is_urgent: bool,
) -> datetime:
    """Return when a waiting job has to try again: soon, or when its turn probably comes.

    A job that waits long is woken earlier, because the jobs before it may need less or give up.
    """
    at_once = ledger.estimate_free_at(
        ledger.owed_count + sum(one.request_count for one in first) + 1, is_urgent=is_urgent
    )
    if is_turn_near(ledger, at_once):
        return max(at_once, ledger.now + RECHECK_DELAY)
    totals = count_waiters(first) if line.has_all else ledger.queue or QueueTotals()
    before = totals.sum_up_to(line.place.key)
    if line.own and not line.has_all:
        before = before.add_times(line.own.waiting, times=-1)
    ahead = ledger.owed_count + before.calls + round(_MORE * before.later)
    return ledger.estimate_free_at(ahead + 1, is_urgent=is_urgent)


def has_read_enough_entries(
    ledger: RequestLedger, first: Sequence[RequestQueueEntry], calls: int
) -> bool:
    """Return whether the entries after `first`, which need `calls` requests, need no reading."""
    return calls > ledger.calls * (_NEAR + 1) and len(first) >= _READ_EXACTLY


def is_turn_near(ledger: RequestLedger, comes: datetime) -> bool:
    """Return whether `comes`, the time of a job's turn, is within the next minutes."""
    return comes <= ledger.now + ledger.window * _NEAR
