"""The state of a request budget: requests sent and reserved, and how many are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from shared.adapters.state.queue_totals import QueueTotals
from shared.adapters.state.request_tally import RequestTally
from shared.errors import ThrottledError

NEVER = datetime.min.replace(tzinfo=UTC)
#: How much longer one request can take from budget to service than another: a second of transit
#: and a second of difference between the clocks of two instances.
UNDERWAY = timedelta(seconds=2)
#: Minimum wait after a `ThrottledError`.
RECHECK_DELAY = timedelta(seconds=1)
_OF_DAY = " per 24 hours"
#: Time without a 429 after which the rate rises by a fifth of the setting, while work waits.
_RISES_AFTER = timedelta(minutes=10)
#: Time in which a rate that caused a 429 is not tried again.
_REMEMBERED = timedelta(days=1)
#: Maximum pause, even if a service asks for a longer one.
_LONGEST_PAUSE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimit:
    """The limits of a service's request budget."""

    #: Key of the budget: letters, digits, `-` and `.`.
    name: str
    #: Initial requests per window.
    calls: int
    #: Maximum requests per window without a 429; None: the initial number.
    most: int | None = None
    window: timedelta = timedelta(minutes=1)
    #: Maximum writes per hour; None: not counted.
    writes_an_hour: int | None = None
    #: Maximum requests per 24 hours; None: not counted.
    calls_a_day: int | None = None


def build_exhausted_error(limit: BudgetLimit, wait: timedelta, of: str = "") -> ThrottledError:
    """Return the error for an exhausted budget. `of` names the period, such as a day."""
    return ThrottledError(f"The request budget of {limit.name}{of} is exhausted", retry_after=wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The requests that one invocation has reserved."""

    #: Reserved requests without a reported use.
    held: int
    #: Requests that it gets before anyone else is admitted.
    owed: int
    #: Time after which it counts as lost.
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLedger:
    """The requests of a budget at a point in time."""

    now: datetime
    limit: BudgetLimit
    #: Known limit per window.
    calls: int
    #: Start of that limit.
    since: datetime
    #: A limit that caused a 429, and until when it is not tried again.
    ceiling: int | None = None
    ceiling_until: datetime = NEVER
    #: Requests and the times until which they count.
    spent: tuple[tuple[datetime, int], ...] = ()
    holds: Mapping[str, Reservation] = field(default_factory=dict)
    #: Writes of an hour, and requests of a day; None: not counted.
    writes: RequestTally | None = None
    day: RequestTally | None = None
    paused_until: datetime = NEVER
    #: Who waits for requests; None: not counted yet.
    queue: QueueTotals | None = None

    @property
    def window(self) -> timedelta:
        """Return the length of the window."""
        return self.limit.window

    @property
    def _limit_step(self) -> int:
        return max(self.limit.calls // 5, 1)

    @property
    def reserved_count(self) -> int:
        """Return how many requests are reserved but not sent."""
        return sum(hold.held for hold in self.holds.values())

    @property
    def unreserved_count(self) -> int:
        """Return the limit minus the reserved requests and those that count now."""
        return self.calls - self.reserved_count - sum(count for _, count in self.spent)

    @property
    def daily_requests_left(self) -> int | None:
        """Return how many requests non-urgent work may still send in 24 hours.

        Returns None if there is no limit.
        """
        return (
            max(self.day.count_requests_left(self.reserved_count, is_urgent=False), 0)
            if self.day
            else None
        )

    def count_free_requests(self, *, kept: int = 0, is_urgent: bool, may_write: bool = True) -> int:
        """Return how many requests can be reserved now, if `kept` must stay for others."""
        if self.paused_until > self.now:
            return 0
        free = self.unreserved_count - kept
        if self.day:
            free = min(
                free, self.day.count_requests_left(self.reserved_count, is_urgent=is_urgent) - kept
            )
        if self.writes and may_write:
            free = min(
                free, self.writes.count_requests_left(self.reserved_count, is_urgent=is_urgent)
            )
        return max(free, 0)

    def require_free_requests(self, *, is_urgent: bool, may_write: bool = True) -> int:
        """Return how many requests can be reserved now.

        Raises `ThrottledError` if the number is zero.
        """
        if free := self.count_free_requests(is_urgent=is_urgent, may_write=may_write):
            return free
        opens = self.estimate_free_at(1, is_urgent=is_urgent, may_write=may_write)
        raise build_exhausted_error(
            self.limit, opens - self.now, _OF_DAY if self.daily_requests_left == 0 else ""
        )

    @property
    def owed_count(self) -> int:
        """Return how many requests existing reservations get before anyone else is admitted."""
        return sum(hold.owed for hold in self.holds.values())

    def with_requests(self, moment: datetime, calls: int = 1, *, is_write: bool = False) -> Self:
        """Return the ledger with more requests, which the service has received by `moment`."""
        until = moment + self.window
        return replace(
            self,
            spent=(*self.spent, (until, calls)) if until > self.now else self.spent,
            writes=self.writes.with_requests(moment, calls)
            if self.writes and is_write
            else self.writes,
            day=self.day.with_requests(moment, calls) if self.day else None,
        )

    def without_unsent_requests(self, moment: datetime, calls: int) -> Self:
        """Return the ledger whose daily count omits requests that were leased but not sent."""
        return replace(self, day=self.day.with_requests(moment, -calls) if self.day else None)

    def with_sent_requests(self, leased: tuple[datetime, int], used: tuple[datetime, int]) -> Self:
        """Return the ledger with the sent requests (`used`) in place of the leased ones."""
        if leased not in self.spent:
            return self  # they no longer count
        at, counts = self.spent.index(leased), used[1] > 0 and used[0] > self.now
        others = self.spent[:at] + self.spent[at + 1 :]
        return replace(self, spent=(*others, used) if counts else others)

    def with_reservation(self, name: str, hold: Reservation | None) -> Self:
        """Return the ledger with a new state of the reservation `name`, or without it."""
        others = {key: value for key, value in self.holds.items() if key != name}
        return replace(self, holds={**others, name: hold} if hold else others)

    def estimate_free_at(self, number: int, *, is_urgent: bool, may_write: bool = True) -> datetime:
        """Return when `number` more requests will probably be available."""
        opens = [self._estimate_window_opening(number), self.paused_until]
        given_back = self.now + self.window
        if self.day:
            opens.append(
                self.day.find_opening_time(number, self.reserved_count, is_urgent=is_urgent)
                or given_back
            )
        if self.writes and may_write:  # it is not known how many of them write
            opens.append(
                self.writes.find_opening_time(1, self.reserved_count, is_urgent=is_urgent)
                or given_back
            )
        return max(opens)

    def _estimate_window_opening(self, number: int) -> datetime:
        ends = sorted(until for until, count in self.spent for _ in range(count))
        ends = (
            [self.now] * self.unreserved_count
            + ends
            + [self.now + self.window] * self.reserved_count
        )  # in use now
        rounds, last = divmod(number - 1 - min(self.unreserved_count, 0), len(ends))
        return ends[last] + rounds * self.window

    def with_higher_limit(self) -> Self:
        """Return the ledger with a higher limit, unless it is the highest or was just changed."""
        most = max(self.limit.most or 0, self.limit.calls)
        if self.ceiling is not None and self.now < self.ceiling_until:
            most = min(most, self.ceiling)
        if self.calls >= most or self.now - self.since < _RISES_AFTER:
            return self
        return replace(self, calls=min(self.calls + self._limit_step, most), since=self.now)

    def with_pause(self, wait: timedelta) -> Self:
        """Return the ledger after the service answered 429: paused, and with a lower limit.

        A 429 during the pause does not lower the limit again.
        """
        until = self.now + min(wait, _LONGEST_PAUSE)
        paused = replace(self, paused_until=max(self.paused_until, until))
        if self.now < self.paused_until:
            return paused
        ceiling, until = max(self.calls - self._limit_step, 1), self.now + _REMEMBERED
        fewer = max(self.calls // 2, min(self.limit.calls, ceiling))
        return replace(paused, calls=fewer, since=self.now, ceiling=ceiling, ceiling_until=until)
