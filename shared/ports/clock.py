"""The time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets some pass."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""

    async def sleep(self, time: timedelta) -> None:
        """Come back when `time` has passed: seconds, while a delivery holds its row."""
