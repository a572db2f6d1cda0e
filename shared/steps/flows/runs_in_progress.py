"""Wait for the end of runs."""

from collections.abc import Iterable
from datetime import timedelta

from shared.domain.flow import FlowRun
from shared.errors import MustWait
from shared.reason import Reason
from shared.services import Services

#: A run that has taken an hour is checked again six minutes later.
_PART_OF_AGE = 10
_LONGEST_INTERVAL = timedelta(hours=1)


def require_no_run_in_progress(services: Services, runs: Iterable[FlowRun], reason: str) -> None:
    """Raise `MustWait` with a reason if one of these runs is in progress.

    The longer a run takes, the later is the next check: an approval may take a month, and each
    check sends requests to the flow service.
    """
    started = [run.started_at for run in runs if run.is_running]
    if not started:
        return
    age = services.now - min(started)
    interval = min(age / _PART_OF_AGE, _LONGEST_INTERVAL)
    until = services.now + max(interval, services.settings.wait_poll_interval)
    raise MustWait(reason, until=until, code=Reason.FLOW_RUN_IN_PROGRESS)
