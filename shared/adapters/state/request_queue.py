"""The line of those who wait for calls: who is let in, and when the others are to come again.

Whoever is refused is a row: its key says who goes before whom, its columns how many calls it needs
and when it was told to come. Nobody is let in while somebody who goes first is about to come, or
while a block that was begun has not all of its calls. One who does not come in time has died, and
holds nobody up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, TypeAdapter

from shared.adapters.state.request_ledger import AGAIN, RequestLedger
from shared.domain.request_demand import RequestDemand
from shared.ports import DeleteRow, Operation, ReplaceRow, Scalar, StoreRow, UpsertRow

#: Places that are written or removed at once: a batch holds a hundred operations.
AT_ONCE = 50
#: Share of the window for which a call is kept for somebody who goes first and is to come, and how
#: many windows later it counts as dead.
_KEPT_FOR, _GRACE = 1 / 10, 1
#: Whose turn comes within so many windows comes when there may be a call.
_NEAR = 2
#: Who is told a late time is told rather too late a one, since it is called up: so much more is
#: expected of those before it. Who asks too early is refused again, at the cost of a delivery.
_MORE = 1.4
#: The column that holds it.
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
    """A row of the line: who was told to come again. Keys are in the order of who goes first."""

    kept: StoreRow
    stored: _Stored

    @classmethod
    def read(cls, row: StoreRow) -> Self:
        """Return what a row says; raises `ValueError` if it cannot be read."""
        return cls(row, _adapter.validate_json(str(row.columns.get(_STORED, ""))))

    @classmethod
    def told(cls, place: StoreRow, need: RequestDemand, comes: datetime, calls: int) -> UpsertRow:
        """Return the place of somebody who was told to come."""
        stored = _Stored(comes=comes, calls=calls, later=need.later_requests, row=need.row)
        return UpsertRow(replace(place, columns=_columns(stored)))

    @property
    def key(self) -> str:
        """Return its place in the line."""
        return self.kept.key

    @property
    def calls(self) -> int:
        """Return how many calls it needs."""
        return self.stored.calls

    @property
    def later(self) -> int:
        """Return how many calls its later deliveries need."""
        return self.stored.later

    @property
    def comes(self) -> datetime:
        """Return when it was told to come."""
        return self.stored.comes

    @property
    def row(self) -> tuple[str, str, str]:
        """Return the row that waits: table, partition and key."""
        return self.stored.row

    @property
    def removal(self) -> DeleteRow:
        """Return what takes it out of the line, whatever became of it."""
        return DeleteRow(replace(self.kept, etag=None))

    def called(self, comes: datetime) -> ReplaceRow:
        """Return the place of somebody who was told to come sooner, if it still stands there."""
        return ReplaceRow(replace(self.kept, columns=_columns(replace(self.stored, comes=comes))))

    def is_dead(self, ledger: RequestLedger) -> bool:
        """Say whether it should have come long ago."""
        return self.comes < ledger.now - ledger.window * _GRACE


def _columns(stored: _Stored) -> dict[str, Scalar]:
    return {_STORED: _adapter.dump_json(stored).decode()}


def ask(
    ledger: RequestLedger, line: Sequence[RequestQueueEntry], need: RequestDemand, place: StoreRow
) -> tuple[int | datetime, Sequence[Operation]]:
    """Return how many calls may be begun with, or when to ask again; and what that changes.

    `place` is where it stands in the line until it is let in.
    """
    calls = min(need.calls, ledger.calls)
    others = [one for one in line if one.key != place.key]
    gone = [one.removal for one in others if one.is_dead(ledger)][:AT_ONCE]
    first = [one for one in others if not one.is_dead(ledger) and one.key < place.key]
    soon = ledger.now + ledger.window * _KEPT_FOR
    expected = sum(one.calls for one in first if one.comes <= soon)
    kept = ledger.owed + expected
    count = min(ledger.free(kept=kept, is_urgent=need.is_urgent), calls)
    opens = ledger.free_at(kept + 1, is_urgent=need.is_urgent)
    if not count and (expected or opens > soon):
        comes = _comes(ledger, first, is_urgent=need.is_urgent)
        return comes, [RequestQueueEntry.told(place, need, comes, calls), *gone]
    left = [one.removal for one in line if one.key == place.key]
    return count, [*left, *gone]


def _comes(
    ledger: RequestLedger, first: Sequence[RequestQueueEntry], *, is_urgent: bool
) -> datetime:
    """Return when whoever is refused is to ask again: soon, or when it is probably its turn.

    Who is told a late time is called up: those that go first may need less, or give up.
    """
    ahead = ledger.owed + sum(one.calls for one in first)
    at_once = ledger.free_at(ahead + 1, is_urgent=is_urgent)
    if is_near(ledger, at_once):
        return max(at_once, ledger.now + AGAIN)
    later = round(_MORE * sum(one.later for one in first))
    return ledger.free_at(ahead + later + 1, is_urgent=is_urgent)


def is_near(ledger: RequestLedger, comes: datetime) -> bool:
    """Say whether it comes within the next minutes."""
    return comes <= ledger.now + ledger.window * _NEAR
