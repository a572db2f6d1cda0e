"""Run timer functions: wait for each occurrence, and run the function without overlaps."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local_cloud.functions_host.app_functions import Function, TimerTrigger
from local_cloud.functions_host.rpc_messages import rpc
from local_cloud.functions_host.worker import Invocation, Worker

_LOGGER = logging.getLogger("host.timer")
#: The real host watches only schedules that are at least this far apart.
_MONITORED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """The last and the next occurrence of a timer.

    It is only in memory, so no occurrence is past due after a restart.
    """

    last: datetime
    due: datetime

    def to_json(self) -> dict[str, str]:
        last = self.last.isoformat()
        return {"Last": last, "Next": self.due.isoformat(), "LastUpdated": last}


def build_timer_invocation(function: Function, status: ScheduleStatus | None) -> Invocation:
    """Return an invocation of a timer function, as the Azure Functions host builds it."""
    info: dict[str, Any] = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": status.to_json() if status else None,
        "IsPastDue": False,
    }
    return Invocation(function=function, data=rpc.TypedData(json=json.dumps(info)))


class TimerRunner:
    def __init__(self, function: Function, trigger: TimerTrigger, worker: Worker) -> None:
        self._function = function
        self._trigger = trigger
        self._worker = worker

    async def run(self, stop: asyncio.Event) -> None:
        """Run the function at each occurrence, and at the start if the trigger says so.

        An occurrence during a run is skipped.
        """
        last = datetime.now(UTC)
        if self._trigger.run_on_startup:
            await self._worker.invoke(build_timer_invocation(self._function, None))
        while not stop.is_set():
            due = self._trigger.schedule.find_next(datetime.now(UTC))
            _LOGGER.debug("timer due", extra={"function": self._function.name, "due": due})
            if await self._wait_for_stop_until(due, stop):
                return
            status = ScheduleStatus(last=last, due=due) if self._is_monitored(due) else None
            last = due
            await self._worker.invoke(build_timer_invocation(self._function, status))

    async def _wait_for_stop_until(self, due: datetime, stop: asyncio.Event) -> bool:
        """Wait until `due` or until `stop` is set. Return whether `stop` is set."""
        while (wait := (due - datetime.now(UTC)).total_seconds()) > 0:
            try:
                async with asyncio.timeout(wait):
                    await stop.wait()
            except TimeoutError:
                continue  # the loop's clock and the wall clock may differ by a little
            return True
        return stop.is_set()

    def _is_monitored(self, due: datetime) -> bool:
        """Return whether the trigger is monitored and its runs are at least a minute apart."""
        following = self._trigger.schedule.find_next(due)
        return self._trigger.use_monitor and following - due >= _MONITORED
