"""The line of those who wait for calls: who is let in, and when the others are to come again.

Whoever is refused is a row: its key says who goes before whom, its columns how many calls it needs
and when it was told to come. Nobody is let in while somebody who goes first is about to come, or
while a block that was begun has not all of its calls. One who does not come in time has died, and
holds nobody up.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.adapters.state.call_ledger import UNDERWAY, Ledger
from shared.domain.calls import Need
from shared.ports import Delete, Operation, Replace, Row, Scalar, Upsert

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


class Waiter:
    """A row of the line: who was told to come again. Keys are in the order of who goes first."""

    def __init__(self, row: Row) -> None:
        """Read what the row says."""
        self.key = row.key
        self.calls = int(row.columns["calls"])
        self.later = int(row.columns.get("later", 0))
        self.comes = datetime.fromisoformat(str(row.columns["comes"]))
        table, partition, key = json.loads(str(row.columns.get("row", '["", "", ""]')))
        self.row = (str(table), str(partition), str(key))
        self.removal = Delete(replace(row, etag=None))
        self._kept = row

    @classmethod
    def told(cls, place: Row, need: Need, comes: datetime, calls: int) -> Upsert:
        """Return the place of somebody who was told to come."""
        columns: dict[str, Scalar] = {
            "comes": comes.isoformat(),
            "calls": calls,
            "later": need.later,
            "row": json.dumps(need.row),
        }
        return Upsert(replace(place, columns=columns))

    def called(self, comes: datetime) -> Replace:
        """Return the place of somebody who was told to come sooner, if it still stands there."""
        columns = {**self._kept.columns, "comes": comes.isoformat()}
        return Replace(replace(self._kept, columns=columns))

    def is_dead(self, ledger: Ledger) -> bool:
        """Say whether it should have come long ago."""
        return self.comes < ledger.now - ledger.window * _GRACE


def ask(
    ledger: Ledger, line: Sequence[Waiter], need: Need, place: Row
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
        return comes, [Waiter.told(place, need, comes, calls), *gone]
    left = [one.removal for one in line if one.key == place.key]
    return count, [*left, *gone]


def _comes(ledger: Ledger, first: Sequence[Waiter], *, is_urgent: bool) -> datetime:
    """Return when whoever is refused is to ask again: soon, or when it is probably its turn.

    Who is told a late time is called up: those that go first may need less, or give up.
    """
    ahead = ledger.owed + sum(one.calls for one in first)
    at_once = ledger.free_at(ahead + 1, is_urgent=is_urgent)
    if is_near(ledger, at_once):
        return max(at_once, ledger.now + UNDERWAY)
    later = round(_MORE * sum(one.later for one in first))
    return ledger.free_at(ahead + later + 1, is_urgent=is_urgent)


def is_near(ledger: Ledger, comes: datetime) -> bool:
    """Say whether it comes within the next minutes."""
    return comes <= ledger.now + ledger.window * _NEAR
