"""The tenant's clock, which a test or the demo can move: days of waiting pass in a moment."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """Real time plus what was skipped. Nothing in the tenant reads another clock, but tokens:
    their clients cache them by the time of the machine."""

    def __init__(self) -> None:
        self._skipped = timedelta()
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The tenant's time, aware and in UTC."""
        return datetime.now(UTC) + self._skipped

    def advance(self, seconds: float) -> None:
        """Skip some seconds, then tell whoever listens. Time never runs backwards."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        self._skipped += timedelta(seconds=seconds)
        for listener in self._listeners:
            listener()

    async def reach(self, moment: datetime) -> None:
        """Return once it is `moment`, by waiting or by a skip."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            skipped = asyncio.Event()
            self._listeners.append(skipped.set)
            with suppress(TimeoutError):
                await asyncio.wait_for(skipped.wait(), left)
            self._listeners.remove(skipped.set)

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each `advance`."""
        self._listeners.append(listener)


def format_time(moment: datetime) -> str:
    """A moment as the platform writes it: seven decimals and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
