"""A service's budget of calls, shared by all instances of the app through rows of the store.

An instance leases calls in slices, so that not every call costs a write. Leases are remembered for
one window, and a new one is given only while those remembered leave room: in *no* span of one
window's length are there more calls than the budget, wherever the span begins. A slice is to be
used within a twentieth of the window, and a lease counts for that much longer, so about 95 % of
the budget can be used.

Whoever is refused is told when to come again: the row remembers how many were told so, and a long
line is not called all at once for the few calls of the next window.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.errors import AlreadyExists, Conflict, Throttled
from shared.ports import Clock, Insert, Replace, Row, Store

_TABLE = "CallBudgets"
_KEY = "leases"
#: Share of the window in which a slice is to be used.
_USE_SHARE = 1 / 20
#: Slices a whole budget is cut into at most.
_SLICES = 40
#: Who is refused is told when to come again: so many for each call that there is then.
_CROWD = 4
#: Those who wait in line at most; whoever comes later is told the end of it.
_LONGEST_LINE = 400
_TRIES = 10  # races for the row that are lost in a row before a call is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimit:
    """How many calls a service takes."""

    #: Key of the budget: letters, digits, `-` and `.`.
    name: str
    calls: int
    window: timedelta = timedelta(minutes=1)


class CallBudget:
    """Calls to one service, for this instance."""

    def __init__(self, store: Store, clock: Clock, limit: BudgetLimit) -> None:
        """Lease from rows of `store`."""
        if limit.calls < 1:
            raise ValueError("a budget holds at least one call")
        self._store = store
        self._clock = clock
        self._limit = limit
        self._slice = -(-limit.calls // _SLICES)
        self._left = 0
        self._use_until = datetime.min.replace(tzinfo=UTC)
        self._lock = asyncio.Lock()

    async def take(self) -> None:
        """Take one call; raises `Throttled` with the time until there is one again."""
        async with self._lock:
            if self._left == 0 or self._clock.now() >= self._use_until:
                await self._lease()
            self._left -= 1

    async def pause(self, wait: timedelta) -> None:
        """Give out nothing for a while, in every instance: the service has asked for that."""
        async with self._lock:
            self._left = 0
            for _ in range(_TRIES):
                row, leases = await self._read()
                until = max(leases.paused_until, self._clock.now() + wait)
                if await self._wrote(row, replace(leases, paused_until=until)):
                    return

    async def _lease(self) -> None:
        """Get the next slice, or what is left for one."""
        for _ in range(_TRIES):
            row, leases = await self._read()
            now = self._clock.now()
            if leases.paused_until > now:
                raise self._refusal(leases.paused_until - now)
            room = self._limit.calls - sum(count for _, count in leases.given)
            if room < 1:
                turn = leases.next_turn(self._limit.window)
                if await self._wrote(row, replace(leases, turns=(*leases.turns, turn))):
                    raise self._refusal(turn - now)
                continue
            count = min(self._slice, room)
            use = self._limit.window * _USE_SHARE
            given = (*leases.given, (now + use + self._limit.window, count))
            if await self._wrote(row, replace(leases, given=given)):
                self._left = count
                self._use_until = now + use
                return
        raise self._refusal(timedelta(seconds=1))

    def _refusal(self, wait: timedelta) -> Throttled:
        return Throttled(
            f"the budget of {self._limit.calls} calls to {self._limit.name} is used up",
            retry_after=wait,
        )

    async def _read(self) -> tuple[Row | None, "_Leases"]:
        row = await self._store.get(_TABLE, self._limit.name, _KEY)
        leases = _Leases.from_row(row)
        now = self._clock.now()
        given = tuple(lease for lease in leases.given if lease[0] > now)
        turns = tuple(turn for turn in leases.turns if turn > now)
        return row, replace(leases, given=given, turns=turns)

    async def _wrote(self, row: Row | None, leases: "_Leases") -> bool:
        """Write the leases; False if another instance was faster."""
        columns = leases.columns()
        try:
            if row is None:
                new = Row(table=_TABLE, partition=self._limit.name, key=_KEY, columns=columns)
                await self._store.write(Insert(new))
            else:
                await self._store.write(Replace(replace(row, columns=columns)))
        except (AlreadyExists, Conflict):
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Leases:
    """What the row remembers: until when each lease counts, and how many calls it gave."""

    given: tuple[tuple[datetime, int], ...]
    paused_until: datetime
    #: When those who were refused were told to come again.
    turns: tuple[datetime, ...] = ()

    def next_turn(self, window: timedelta) -> datetime:
        """Return when whoever is refused now is to come: there is a call then for the one before.

        Some use more than one call, some none: `_CROWD` come for each call.
        """
        free = [until for until, count in self.given for _ in range(count)]
        rounds, place = divmod(min(len(self.turns), _LONGEST_LINE) // _CROWD, len(free))
        return free[place] + rounds * window

    @classmethod
    def from_row(cls, row: Row | None) -> "_Leases":
        if row is None:
            return cls((), datetime.min.replace(tzinfo=UTC))
        given = json.loads(str(row.columns["given"]))
        return cls(
            tuple((datetime.fromisoformat(until), count) for until, count in given),
            datetime.fromisoformat(str(row.columns["paused_until"])),
            tuple(map(datetime.fromisoformat, json.loads(str(row.columns.get("turns", "[]"))))),
        )

    def columns(self) -> dict[str, str]:
        given = [(until.isoformat(), count) for until, count in self.given]
        return {
            "given": json.dumps(given),
            "paused_until": self.paused_until.isoformat(),
            "turns": json.dumps([turn.isoformat() for turn in self.turns[-_LONGEST_LINE:]]),
        }
