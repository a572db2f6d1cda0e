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


class TimeStamps(Protocol):
    """Request time stamps."""

    async def stamp(self, authority: str, content: bytes) -> bytes:
        """Return the answer (DER) of the authority at this URL: a time stamp of content.

        Raises `PlatformError` if the authority rejects the request or its answer does not match
        it, and `ServiceUnavailable` without an answer. The signature is not verified.
        """
