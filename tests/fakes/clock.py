"""A clock that advances only when a test advances it."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

from shared.adapters.state.store_clock import StoreClock

#: Any time would do: tests compare with what they read, never with this.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def measure_local_clock_lead(self) -> timedelta:
        return timedelta()

    def advance(self, step: timedelta) -> None:
        """Advance the clock by `step`. Raises `ValueError` if it is negative."""
        if step < timedelta():
            raise ValueError("time does not go back")
        self._now += step

    def advance_to(self, moment: datetime) -> None:
        """Advance the clock to `moment`, or do nothing if `moment` is past."""
        self._now = max(self._now, moment)

    async def sleep(self, time: timedelta) -> None:
        """Advance the clock at once by the time to sleep."""
        self.advance(time)


def count_most_within(times: Iterable[datetime], length: timedelta) -> int:
    """Return the highest number of these times in any period of this length."""
    ordered = sorted(times)
    return max(
        (
            count - bisect_right(ordered, moment - length)
            for count, moment in enumerate(ordered, start=1)
        ),
        default=0,
    )


def build_store_clock(store_time: datetime, *, local: datetime) -> StoreClock:
    """Return the app's clock on a machine that shows `local`, after the store has answered at
    `store_time`.
    """
    clock = StoreClock(ManualClock(local), lambda: 0.0)
    headers = {"Date": format_datetime(store_time, usegmt=True), "x-ms-request-id": "1"}
    clock.note_time(SimpleNamespace(http_response=SimpleNamespace(headers=headers)))
    return clock
