"""Provide the time of the operating system."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.ports import Clock


class SystemClock(Clock):
    """Implements the port `Clock` with the clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def measure_local_clock_lead(self) -> timedelta:
        """Return zero, because this is the machine's clock."""
        return timedelta()

    async def sleep(self, time: timedelta) -> None:
        await asyncio.sleep(time.total_seconds())
