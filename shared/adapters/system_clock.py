"""The clock of the machine: the one place that asks the operating system for the time."""

from datetime import UTC, datetime

from shared.ports import Clock


class SystemClock(Clock):
    """Tells the machine's time."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        return datetime.now(UTC)
