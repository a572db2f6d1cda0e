"""Return the time of the operating system, and wait."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.ports import Clock


class SystemClock(Clock):
    """The system clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def measure_local_lead(self) -> timedelta:
        """Return zero: this is the machine's clock."""
        return timedelta()

    async def sleep(self, time: timedelta) -> None:
        """Wait without blocking other tasks."""
        await asyncio.sleep(time.total_seconds())
