"""What the rows of a budget remember: calls made and in hand, and who waits for some."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from shared.ports import Delete, Row, Scalar

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The block of one delivery."""

    #: Calls that it has and has not told the use of.
    held: int
    #: Calls that come to it before anybody is let in.
    owed: int
    #: It has died if it has not been heard of by then.
    until: datetime


class Waiter:
    """A row of the line: who was told to come again. Keys are in the order of who goes first."""

    def __init__(self, row: Row) -> None:
        """Read what the row says."""
        self.key = row.key
        self.calls = int(row.columns["calls"])
        self.comes = datetime.fromisoformat(str(row.columns["comes"]))
        self.removal = Delete(replace(row, etag=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The calls of one budget at one moment. In no span of `window` are there more than `calls`."""

    now: datetime
    window: timedelta
    calls: int
    #: How many calls count until when.
    spent: tuple[tuple[datetime, int], ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    paused_until: datetime = _NEVER

    @property
    def room(self) -> int:
        """Return how many calls may be made now that nobody has in hand."""
        held = sum(hold.held for hold in self.holds.values())
        return self.calls - held - sum(count for _, count in self.spent)

    @property
    def owed(self) -> int:
        """Return how many of the next calls are spoken for."""
        return sum(hold.owed for hold in self.holds.values())

    def spend(self, times: Iterable[datetime]) -> Self:
        """Return the ledger with these calls; each counts until its time."""
        return replace(self, spent=(*self.spent, *((until, 1) for until in times)))

    def with_hold(self, name: str, hold: Hold | None) -> Self:
        """Return the ledger with a block as it is now, or without it."""
        others = {key: value for key, value in self.holds.items() if key != name}
        return replace(self, holds={**others, name: hold} if hold else others)

    def free_at(self, number: int) -> datetime:
        """Return when that many more calls than now can have been made, as far as is known."""
        held = sum(hold.held for hold in self.holds.values())
        ends = sorted(until for until, count in self.spent for _ in range(count))
        ends = [self.now] * self.room + ends + [self.now + self.window] * held  # in use right now
        rounds, last = divmod(number - 1 - min(self.room, 0), len(ends))
        return max(ends[last] + rounds * self.window, self.paused_until)

    @classmethod
    def from_row(cls, row: Row | None, *, now: datetime, window: timedelta, calls: int) -> Self:
        """Return what a row says, without what is over; a block whose time is over was used."""
        if row is None:
            return cls(now=now, window=window, calls=calls)
        columns = row.columns
        spent = [
            (datetime.fromisoformat(until), count)
            for until, count in json.loads(str(columns.get("spent", "[]")))
        ]
        holds: dict[str, Hold] = {}
        for name, (held, owed, text) in json.loads(str(columns.get("holds", "{}"))).items():
            until = datetime.fromisoformat(text)
            if until > now:
                holds[name] = Hold(held=held, owed=owed, until=until)
            elif held:
                spent.append((until + window, held))
        return cls(
            now=now,
            window=window,
            calls=calls,
            spent=tuple(one for one in spent if one[0] > now),
            holds=holds,
            paused_until=datetime.fromisoformat(str(columns["paused_until"])),
        )

    def columns(self) -> dict[str, Scalar]:
        """Return the row's columns."""
        spent = [(until.isoformat(), count) for until, count in self.spent]
        holds = {
            name: (hold.held, hold.owed, hold.until.isoformat())
            for name, hold in self.holds.items()
        }
        return {
            "spent": json.dumps(spent),
            "holds": json.dumps(holds),
            "paused_until": self.paused_until.isoformat(),
        }
