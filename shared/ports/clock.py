"""The port for time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Provide the time, and wait."""

    def now(self) -> datetime:
        """Return the current time in UTC."""

    def measure_local_lead(self) -> timedelta:
        """Return how far the machine's clock is ahead of this one, or behind if negative."""

    async def sleep(self, time: timedelta) -> None:
        """Wait for `time`, which should be seconds while an invocation leases its row."""


class TimeStamps(Protocol):
    """Request time stamps."""

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Return a time stamp of `content` from the authority at this URL: its answer, in DER.

        Raises `PlatformError` if the authority rejects the request or its answer does not match it,
        and `ServiceUnavailable` without an answer. The signature is not verified.
        """
