"""Define the tenant's clock. Tests and the demo move it forward, so that days pass in a moment."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """The machine's time, plus all time that was skipped.

    Tokens expire by the machine's time, because their clients cache them by it.
    """

    def __init__(self) -> None:
        self._skipped = timedelta()
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skipped

    def advance(self, seconds: float) -> None:
        """Skip this time, then call the listeners. The time never goes back."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        self._skipped += timedelta(seconds=seconds)
        for listener in self._listeners:
            listener()

    async def reach(self, moment: datetime) -> None:
        """Wait until the tenant's time has reached `moment`. A skip may end the wait."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            skipped = asyncio.Event()
            self._listeners.append(skipped.set)
            with suppress(TimeoutError):
                await asyncio.wait_for(skipped.wait(), left)
            self._listeners.remove(skipped.set)

    def on_advance(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)


def format_time(moment: datetime) -> str:
    """Return a time in the platform's format, with seven decimals and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
