"""A clock that advances only when a test advances it."""

from datetime import UTC, datetime, timedelta

#: Any time would do: tests compare with what they read, never with this.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    """A `Clock` that a test advances."""

    def __init__(self, start: datetime = START) -> None:
        """Start at `start` (aware, UTC)."""
        self._now = start

    def now(self) -> datetime:
        """Return the time of the clock."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Advance the clock by `step`; raise `ValueError` if it is negative."""
        if step < timedelta():
            raise ValueError("time does not go back")
        self._now += step

    def advance_to(self, moment: datetime) -> None:
        """Advance the clock to `moment`, or do nothing if `moment` is past."""
        self._now = max(self._now, moment)

    async def sleep(self, time: timedelta) -> None:
        """Move the clock at once by the time to sleep."""
        self.advance(time)
