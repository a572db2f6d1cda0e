"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

#: Any time would do: tests compare with what they read, never with this.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    """A `Clock` that a test moves by hand."""

    def __init__(self, start: datetime = START) -> None:
        """Stand at `start` (aware, UTC)."""
        self._now = start

    def now(self) -> datetime:
        """Return the present."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Let `step` pass; raises `ValueError` for a negative one."""
        if step < timedelta():
            raise ValueError("time does not go back")
        self._now += step

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until `moment`; does nothing if that is over."""
        self._now = max(self._now, moment)

    async def sleep(self, time: timedelta) -> None:
        """Let the time pass at once."""
        self.advance(time)
