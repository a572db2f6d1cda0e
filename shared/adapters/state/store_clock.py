"""Provide the time of the store, which all instances share.

A machine's clock can be wrong by minutes. An instance with a fast clock would end leases and
windows of other instances too early, so shared times use the store's clock.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from shared.ports import Clock

#: Seconds after which the estimate restarts, so that clock drift does not add up.
_PERIOD = 600
#: Only the store's own responses have this header: a proxy has another clock.
_OF_THE_STORE = "x-ms-request-id"


def _read_steady_seconds() -> float:
    """Return the time of a clock that nobody can set.

    On Linux, it also runs while the machine is suspended.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class StoreClock(Clock):
    """A clock that takes the time from the `Date` header of the store's responses.

    A `Date` has whole seconds, and is older on arrival. So the latest time of all responses is the
    best: it is never ahead of the store, and behind by at most a second and the fastest transit.
    """

    def __init__(self, local: Clock, steady: Callable[[], float] = _read_steady_seconds) -> None:
        """Use `local` until the store's first response. `steady` measures the time since then."""
        self._local, self._steady = local, steady
        #: Store time minus steady time: the maximum of this period and of the last.
        self._offsets: tuple[float, ...] = ()
        self._period_ends = 0.0

    def note_time(self, response: Any) -> None:
        """Record the time of a response. The SDK calls this as `raw_response_hook`."""
        headers = response.http_response.headers
        if _OF_THE_STORE not in headers:
            return
        with suppress(TypeError, ValueError):  # ignore an invalid Date
            now = self._steady()
            offset = parsedate_to_datetime(headers.get("Date")).timestamp() - now
            if now >= self._period_ends:
                self._offsets = (offset, *self._offsets[:1])
                self._period_ends = now + _PERIOD
            self._offsets = (max(self._offsets[0], offset), *self._offsets[1:])

    def now(self) -> datetime:
        if not self._offsets:
            return self._local.now()
        return datetime.fromtimestamp(self._steady() + max(self._offsets), UTC)

    def measure_local_clock_lead(self) -> timedelta:
        return self._local.now() - self.now()

    async def sleep(self, time: timedelta) -> None:
        await self._local.sleep(time)
