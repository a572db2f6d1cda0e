"""The port for time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Return the time, and wait."""

    def now(self) -> datetime:
        """Return the current time in UTC."""

    async def sleep(self, time: timedelta) -> None:
        """Wait for `time`. Keep it to seconds while an invocation leases its row."""
