"""What the row of a budget remembers: calls made and in hand, and how many there may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from shared.adapters.state.request_tally import RequestTally
from shared.errors import ThrottledError

NEVER = datetime.min.replace(tzinfo=UTC)
#: A call may arrive this much later after it was taken than another one: a second of transit, and a
#: second by which the clocks of two instances may differ.
UNDERWAY = timedelta(seconds=2)
#: Whoever is refused asks again after this at the earliest.
AGAIN = timedelta(seconds=1)
_OF_DAY = " of 24 hours"
#: After so long without a refusal a fifth of the setting more is tried, while work waits.
_RISES_AFTER = timedelta(minutes=10)
#: For so long what was refused is not tried again.
_REMEMBERED = timedelta(days=1)
#: A service that asks for a longer pause is asked again after this one.
_LONGEST_PAUSE = timedelta(days=1)


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


def used_up(limit: BudgetLimit, wait: timedelta, of: str = "") -> ThrottledError:
    """Return what is raised where there is no call; `of` says in which time."""
    return ThrottledError(f"the budget of calls to {limit.name}{of} is used up", retry_after=wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The block of one delivery."""

    #: Calls that it has and has not told the use of.
    held: int
    #: Calls that come to it before anybody is let in.
    owed: int
    #: It has died if it has not been heard of by then.
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLedger:
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
    holds: Mapping[str, Reservation] = field(default_factory=dict)
    #: Writes of an hour, and calls of a day; None: not counted.
    writes: RequestTally | None = None
    day: RequestTally | None = None
    paused_until: datetime = NEVER
    #: When a row that could not be read was reset to the setting.
    reset_at: datetime | None = None

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
        """Return the same; raises `ThrottledError` if there is none."""
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

    def with_hold(self, name: str, hold: Reservation | None) -> Self:
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
        until = self.now + min(wait, _LONGEST_PAUSE)
        paused = replace(self, paused_until=max(self.paused_until, until))
        if self.now < self.paused_until:
            return paused
        ceiling, until = max(self.calls - self._step, 1), self.now + _REMEMBERED
        fewer = max(self.calls // 2, min(self.limit.calls, ceiling))
        return replace(paused, calls=fewer, since=self.now, ceiling=ceiling, ceiling_until=until)
