"""The clock of the machine: the one place that asks the operating system for the time."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.ports import Clock


class SystemClock(Clock):
    """Tells the machine's time."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, time: timedelta) -> None:
        """Wait while other tasks run."""
        await asyncio.sleep(time.total_seconds())
