"""What the row of a budget remembers: calls made and in hand, and how many there may be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from shared.adapters.state.call_tally import Tally
from shared.errors import Throttled
from shared.ports import Row, Scalar

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEVER = datetime.min.replace(tzinfo=UTC)
#: A call may arrive this much later after it was taken than another one.
UNDERWAY = timedelta(seconds=1)
_OF_DAY = " of 24 hours"
#: After so long without a refusal a fifth of the setting more is tried, while work waits.
_RISES_AFTER = timedelta(minutes=10)
#: For so long what was refused is not tried again.
_REMEMBERED = _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimit:
    """How many calls a service takes."""

    #: Key of the budget: letters, digits, `-` and `.`.
    name: str
    #: In each window, to begin with.
    calls: int
    #: As many are tried while the service refuses none; None: no more than to begin with.
    most: int | None = None
    window: timedelta = timedelta(minutes=1)
    #: Of them that are no reads, in an hour; None: not counted.
    writes_an_hour: int | None = None
    #: In 24 hours; None: not counted.
    calls_a_day: int | None = None


def used_up(limit: BudgetLimit, wait: timedelta, of: str = "") -> Throttled:
    """Return what is raised where there is no call; `of` says in which time."""
    return Throttled(f"the budget of calls to {limit.name}{of} is used up", retry_after=wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The block of one delivery."""

    #: Calls that it has and has not told the use of.
    held: int
    #: Calls that come to it before anybody is let in.
    owed: int
    #: It has died if it has not been heard of by then.
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The calls of one budget at one moment. In no span of `window` are there more than `calls`."""

    now: datetime
    limit: BudgetLimit
    #: As many are allowed in each window, as far as is known.
    calls: int
    #: Since when.
    since: datetime
    #: More than so many were refused, and are not tried until then.
    ceiling: int | None = None
    ceiling_until: datetime = NEVER
    #: How many calls count until when.
    spent: tuple[tuple[datetime, int], ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    #: Writes of an hour, and calls of a day; None: not counted.
    writes: Tally | None = None
    day: Tally | None = None
    paused_until: datetime = NEVER

    @property
    def window(self) -> timedelta:
        """Return the time in which the calls are counted."""
        return self.limit.window

    @property
    def _step(self) -> int:
        """Return by how many calls it rises, and falls below the setting."""
        return max(self.limit.calls // 5, 1)

    @property
    def held(self) -> int:
        """Return how many calls somebody has in hand; they may be made at any time."""
        return sum(hold.held for hold in self.holds.values())

    @property
    def room(self) -> int:
        """Return how many calls may be made now that nobody has in hand."""
        return self.calls - self.held - sum(count for _, count in self.spent)

    @property
    def left_of_day(self) -> int | None:
        """Return how many calls of 24 hours are left for what is not urgent; None: any number."""
        return max(self.day.left(self.held, is_urgent=False), 0) if self.day else None

    def free(self, *, kept: int = 0, is_urgent: bool, may_write: bool = True) -> int:
        """Return how many calls can be given out now, `kept` of them being for others."""
        if self.paused_until > self.now:
            return 0
        free = self.room - kept
        if self.day:
            free = min(free, self.day.left(self.held, is_urgent=is_urgent) - kept)
        if self.writes and may_write:
            free = min(free, self.writes.left(self.held, is_urgent=is_urgent))
        return max(free, 0)

    def some(self, *, is_urgent: bool, may_write: bool = True) -> int:
        """Return the same; raises `Throttled` if there is none."""
        if free := self.free(is_urgent=is_urgent, may_write=may_write):
            return free
        opens = self.free_at(1, is_urgent=is_urgent, may_write=may_write)
        raise used_up(self.limit, opens - self.now, _OF_DAY if self.left_of_day == 0 else "")

    @property
    def owed(self) -> int:
        """Return how many of the next calls are spoken for."""
        return sum(hold.owed for hold in self.holds.values())

    def made(self, moment: datetime, calls: int = 1, *, is_write: bool = False) -> Self:
        """Return the ledger with calls that have arrived by this moment."""
        until = moment + self.window
        return replace(
            self,
            spent=(*self.spent, (until, calls)) if until > self.now else self.spent,
            writes=self.writes.made(moment, calls) if self.writes and is_write else self.writes,
            day=self.day.made(moment, calls) if self.day else None,
        )

    def unmade(self, moment: datetime, calls: int) -> Self:
        """Return the ledger with calls of a day that were leased until then, and not made."""
        return replace(self, day=self.day.made(moment, -calls) if self.day else None)

    def corrected(self, told: tuple[datetime, int], used: tuple[datetime, int]) -> Self:
        """Return the ledger with the calls that were made in place of what was told of them."""
        if told not in self.spent:
            return self  # they count no more
        at, counts = self.spent.index(told), used[1] > 0 and used[0] > self.now
        others = self.spent[:at] + self.spent[at + 1 :]
        return replace(self, spent=(*others, used) if counts else others)

    def with_hold(self, name: str, hold: Hold | None) -> Self:
        """Return the ledger with a block as it is now, or without it."""
        others = {key: value for key, value in self.holds.items() if key != name}
        return replace(self, holds={**others, name: hold} if hold else others)

    def free_at(self, number: int, *, is_urgent: bool, may_write: bool = True) -> datetime:
        """Return when that many more calls than now can have been made, as far as is known."""
        opens = [self._in_window(number), self.paused_until]
        given_back = self.now + self.window
        if self.day:
            opens.append(self.day.opens(number, self.held, is_urgent=is_urgent) or given_back)
        if self.writes and may_write:  # how many of them are to write is not known
            opens.append(self.writes.opens(1, self.held, is_urgent=is_urgent) or given_back)
        return max(opens)

    def _in_window(self, number: int) -> datetime:
        ends = sorted(until for until, count in self.spent for _ in range(count))
        ends = (
            [self.now] * self.room + ends + [self.now + self.window] * self.held
        )  # in use right now
        rounds, last = divmod(number - 1 - min(self.room, 0), len(ends))
        return ends[last] + rounds * self.window

    def risen(self) -> Self:
        """Return the ledger with more calls in each window, if it is time to try that."""
        most = max(self.limit.most or 0, self.limit.calls)
        if self.ceiling is not None and self.now < self.ceiling_until:
            most = min(most, self.ceiling)
        if self.calls >= most or self.now - self.since < _RISES_AFTER:
            return self
        return replace(self, calls=min(self.calls + self._step, most), since=self.now)

    def refused(self, wait: timedelta) -> Self:
        """Return the ledger after the service has refused a call: fewer of them, and none for now.

        Above the setting they are halved. Calls that were under way when the first was refused say
        nothing new.
        """
        paused = replace(self, paused_until=max(self.paused_until, self.now + wait))
        if self.now < self.paused_until:
            return paused
        ceiling, until = max(self.calls - self._step, 1), self.now + _REMEMBERED
        fewer = max(self.calls // 2, min(self.limit.calls, ceiling))
        return replace(paused, calls=fewer, since=self.now, ceiling=ceiling, ceiling_until=until)

    @classmethod
    def from_row(cls, row: Row | None, limit: BudgetLimit, now: datetime) -> Self:
        """Return what a row says, without what is over; a block whose time is over was used."""
        columns = row.columns if row else {}
        holds = {
            name: Hold(held=held, owed=owed, until=datetime.fromisoformat(until))
            for name, (held, owed, until) in json.loads(str(columns.get("holds", "{}"))).items()
        }
        spent = [
            (datetime.fromisoformat(until), count)
            for until, count in json.loads(str(columns.get("spent", "[]")))
        ]
        learnt: dict[str, Any] = json.loads(str(columns.get("learnt", "{}")))
        if learnt.get("begun_with") != limit.calls:
            learnt = {}  # the setting was changed: it begins anew

        def tally(name: str, most: int | None, span: timedelta, bucket: timedelta) -> Tally | None:
            if most is None:
                return None
            text = str(columns.get(name, "{}"))
            return Tally.from_text(text, now, limit=most, span=span, bucket=bucket)

        ledger = cls(
            now=now,
            limit=limit,
            calls=min(learnt.get("calls", limit.calls), max(limit.most or 0, limit.calls)),
            since=datetime.fromisoformat(learnt["since"]) if learnt else now,
            ceiling=learnt.get("ceiling"),
            ceiling_until=datetime.fromisoformat(learnt["ceiling_until"]) if learnt else NEVER,
            spent=tuple(one for one in spent if one[0] > now),
            holds={name: hold for name, hold in holds.items() if hold.until > now},
            writes=tally("writes", limit.writes_an_hour, _HOUR, _MINUTE),
            day=tally("day", limit.calls_a_day, _DAY, _HOUR),
            paused_until=datetime.fromisoformat(str(columns["paused_until"])) if row else NEVER,
        )
        for hold in holds.values():
            if hold.held and hold.until <= now:
                ledger = ledger.made(hold.until, hold.held, is_write=True)
        return ledger

    def columns(self) -> dict[str, Scalar]:
        """Return the row's columns."""
        spent = [(until.isoformat(), count) for until, count in self.spent]
        holds = {
            name: (hold.held, hold.owed, hold.until.isoformat())
            for name, hold in self.holds.items()
        }
        learnt = {
            "begun_with": self.limit.calls,
            "calls": self.calls,
            "since": self.since.isoformat(),
            "ceiling": self.ceiling,
            "ceiling_until": self.ceiling_until.isoformat(),
        }
        return {
            "spent": json.dumps(spent),
            "holds": json.dumps(holds),
            "writes": self.writes.text() if self.writes else "{}",
            "day": self.day.text() if self.day else "{}",
            "paused_until": self.paused_until.isoformat(),
            "learnt": json.dumps(learnt),
        }
