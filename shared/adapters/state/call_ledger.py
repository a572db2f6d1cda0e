"""What the row of a budget remembers: calls made and in hand, and how many there may be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from shared.errors import Throttled
from shared.ports import Row, Scalar

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)
#: A call may arrive this much later after it was taken than another one.
UNDERWAY = timedelta(seconds=1)
#: After so long without a refusal a fifth of the setting more is tried, while work waits.
_RISES_AFTER = timedelta(minutes=10)
#: For so long what was refused is not tried again.
_REMEMBERED = timedelta(days=1)


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

    @property
    def reserve(self) -> int:
        """Return how many of these only what is urgent may use."""
        return (self.writes_an_hour or 0) // 10


def used_up(limit: BudgetLimit, wait: timedelta) -> Throttled:
    """Return what is raised where there is no call."""
    return Throttled(f"the budget of calls to {limit.name} is used up", retry_after=wait)


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
    #: How many writes count until when, by the minute.
    writes: Mapping[datetime, int] = field(default_factory=dict)
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
    def room(self) -> int:
        """Return how many calls may be made now that nobody has in hand."""
        held = sum(hold.held for hold in self.holds.values())
        return self.calls - held - sum(count for _, count in self.spent)

    @property
    def writes_left(self) -> int | None:
        """Return how many writes may be made now; what is in hand may be one. None: any number."""
        if self.limit.writes_an_hour is None:
            return None
        held = sum(hold.held for hold in self.holds.values())
        return self.limit.writes_an_hour - held - sum(self.writes.values())

    def free(self, *, kept: int, is_urgent: bool) -> int:
        """Return how many calls can be given out now, `kept` of them being for others."""
        if self.paused_until > self.now:
            return 0
        reserve, writes = 0 if is_urgent else self.limit.reserve, self.writes_left
        free = self.room - kept
        return max(free if writes is None else min(free, writes - reserve), 0)

    def some(self, *, kept: int = 0, is_urgent: bool) -> int:
        """Return the same; raises `Throttled` if there is none."""
        if free := self.free(kept=kept, is_urgent=is_urgent):
            return free
        raise used_up(self.limit, self.free_at(kept + 1, is_urgent=is_urgent) - self.now)

    @property
    def owed(self) -> int:
        """Return how many of the next calls are spoken for."""
        return sum(hold.owed for hold in self.holds.values())

    def spend(self, until: datetime, calls: int = 1) -> Self:
        """Return the ledger with calls that count until then."""
        return replace(self, spent=(*self.spent, (until, calls))) if until > self.now else self

    def wrote(self, moment: datetime) -> Self:
        """Return the ledger with a write of this moment."""
        if self.limit.writes_an_hour is None:
            return self
        until = moment.replace(second=0, microsecond=0) + _HOUR + _MINUTE
        return replace(self, writes={**self.writes, until: self.writes.get(until, 0) + 1})

    def with_hold(self, name: str, hold: Hold | None) -> Self:
        """Return the ledger with a block as it is now, or without it."""
        others = {key: value for key, value in self.holds.items() if key != name}
        return replace(self, holds={**others, name: hold} if hold else others)

    def free_at(self, number: int, *, is_urgent: bool) -> datetime:
        """Return when that many more calls than now can have been made, as far as is known."""
        return max(self._in_window(number), self._in_hour(is_urgent=is_urgent), self.paused_until)

    def _in_hour(self, *, is_urgent: bool) -> datetime:
        """Return when there is a write again."""
        left, reserve = self.writes_left, 0 if is_urgent else self.limit.reserve
        if left is None or left > reserve:
            return self.now
        for until in sorted(self.writes):
            left += self.writes[until]
            if left > reserve:
                return until
        return self.now + self.window  # they are in hand, and may be given back

    def _in_window(self, number: int) -> datetime:
        held = sum(hold.held for hold in self.holds.values())
        ends = sorted(until for until, count in self.spent for _ in range(count))
        ends = [self.now] * self.room + ends + [self.now + self.window] * held  # in use right now
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
        if row is None:
            return cls(now=now, limit=limit, calls=limit.calls, since=now)
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
                spent.append((until + limit.window, held))
        learnt: dict[str, Any] = json.loads(str(columns.get("learnt", "{}")))
        if learnt.get("begun_with") != limit.calls:
            learnt = {}  # the setting was changed: it begins anew
        return cls(
            now=now,
            limit=limit,
            calls=min(learnt.get("calls", limit.calls), max(limit.most or 0, limit.calls)),
            since=datetime.fromisoformat(learnt["since"]) if learnt else now,
            ceiling=learnt.get("ceiling"),
            ceiling_until=datetime.fromisoformat(learnt["ceiling_until"]) if learnt else NEVER,
            spent=tuple(one for one in spent if one[0] > now),
            holds=holds,
            writes={
                datetime.fromisoformat(until): count
                for until, count in json.loads(str(columns.get("writes", "{}"))).items()
                if datetime.fromisoformat(until) > now
            },
            paused_until=datetime.fromisoformat(str(columns["paused_until"])),
        )

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
            "writes": json.dumps({key.isoformat(): count for key, count in self.writes.items()}),
            "paused_until": self.paused_until.isoformat(),
            "learnt": json.dumps(learnt),
        }
