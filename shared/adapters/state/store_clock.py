"""The time by the clock of the store, which all instances of the app share.

A machine's own clock may be wrong by minutes. An instance whose clock is fast would end the leases
and the windows of the others too early, so shared times are taken from where they are stored.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from shared.ports import Clock

#: In seconds. The estimate begins anew as often, so that the drift of a machine does not add up.
_PERIOD = 600
#: Only the store's own answers have it: a proxy has another clock.
_OF_THE_STORE = "x-ms-request-id"


def _steady() -> float:
    """Return seconds of a clock that nobody sets, and that runs while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class StoreClock(Clock):
    """Takes the time from the `Date` of the store's answers, and counts on from there.

    A `Date` has whole seconds, and is older when it arrives. So the latest time that any answer
    gives is the best one: it is never ahead of the store, and behind it by the transit of the
    fastest answer and by less than a second. Two instances differ by as much.
    """

    def __init__(self, local: Clock, steady: Callable[[], float] = _steady) -> None:
        """Use `local` until the store has answered."""
        self._local, self._steady = local, steady
        #: Store time minus steady time: the largest of this period, then that of the last one.
        self._offsets: tuple[float, ...] = ()
        self._period_ends = 0.0

    def answered(self, response: Any) -> None:
        """Note the time of an answer that has just come; a `raw_response_hook`."""
        headers = response.http_response.headers
        if _OF_THE_STORE not in headers:
            return
        with suppress(TypeError, ValueError):  # without a readable Date it says nothing
            now = self._steady()
            offset = parsedate_to_datetime(headers.get("Date")).timestamp() - now
            if now >= self._period_ends:
                self._offsets = (offset, *self._offsets[:1])
                self._period_ends = now + _PERIOD
            self._offsets = (max(self._offsets[0], offset), *self._offsets[1:])

    def now(self) -> datetime:
        """Return the present by the store's clock."""
        if not self._offsets:
            return self._local.now()
        return datetime.fromtimestamp(self._steady() + max(self._offsets), UTC)

    async def sleep(self, time: timedelta) -> None:
        """Wait while other tasks run."""
        await self._local.sleep(time)
