"""The port for time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Return the time, and wait."""

    def now(self) -> datetime:
        """Return the current time in UTC."""

    def measure_local_lead(self) -> timedelta:
        """Return how far the machine's clock is ahead of this one; negative: it is behind."""

    async def sleep(self, time: timedelta) -> None:
        """Wait for `time`. Keep it to seconds while an invocation leases its row."""
