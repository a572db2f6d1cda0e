"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

#: Any time would do: tests compare with what they read, never with this.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    """A `Clock` that a test moves by hand."""

    def __init__(self, start: datetime = START) -> None:
        """Start at `start` (aware, UTC)."""
        self._now = start

    def now(self) -> datetime:
        """Return the time of the clock."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Let `step` pass; raises `ValueError` for a negative one."""
        if step < timedelta():
            raise ValueError("time does not go back")
        self._now += step

    def advance_to(self, moment: datetime) -> None:
        """Move the clock to `moment`, or do nothing if `moment` is over."""
        self._now = max(self._now, moment)

    async def sleep(self, time: timedelta) -> None:
        """Move the clock at once by the time to sleep."""
        self.advance(time)
