"""The flows on Microsoft's key as they were read after a copy was made: one list for many copies.

The list is as long as what stays in the environment, and reads may be from before a write
(platform.md#reads-lag). So a copy waits until no reading can be older than it is, and then for the
next one, which proves all copies that came before it: it is made every few minutes, or as soon as
nobody else is there to use the calls.
"""

from datetime import datetime, timedelta

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import CmkflowError, MustWait
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.key_report import KeyReport, key_report
from shared.steps.flows.shared_snapshots import READING_TAKES, SharedSnapshotStore
from shared.steps.step_context import StepContext

#: A proof that stood still for longer, for a firewall or a person, wants to see another list.
_MAX_AGE = timedelta(hours=1)
#: A list of many pages is read again after this many times as long as reading it takes: most calls
#: are for what it proves.
_PAUSES = 4


async def wait_for_key_list(services: Services, job: FlowJob) -> None:
    """Return if a list that shows this job's copy, if it is on it, was or is to be read now.

    Raises `MustWait` until then. Asked before calls are taken for the proof.
    """
    last, shows = await _reading(services, job).last(), _shows(services, job)
    fits = last.is_newer_than(shows, services.now - _MAX_AGE)
    _wait(services, shows if fits else max(shows, await _next(services, last)))


def wait_until_shown(services: Services, job: FlowJob) -> None:
    """Return once a list that is read from now on shows this job's copy; else raise `MustWait`."""
    _wait(services, _shows(services, job))


def _wait(services: Services, until: datetime) -> None:
    if services.now < until:
        text = "The list of flows on Microsoft's key is read once the copy would be on it."
        raise MustWait(text, until=until, code=Reason.WAITING_FOR_MICROSOFT_KEY_LIST)


async def _next(services: Services, last: SharedSnapshot) -> datetime:
    """Return when a list is to be begun, or the one that was begun to be gone on with."""
    if last.goes_on_since or last.read_at is None:
        return _ends(services, last) or services.now
    pause = max(services.settings.wait_poll_interval, _PAUSES * last.took)
    latest, line = last.read_at + pause, await services.request_budget.queue_status()
    return min(latest, line.empty_at or latest)


def _ends(services: Services, last: SharedSnapshot) -> datetime | None:
    """Return when a list of many pages that was begun has probably been read; None: go on with it.

    A list of few pages is waited for where it is asked for.
    """
    now, began = services.now, last.goes_on_since
    if began is None or now - began < READING_TAKES:
        return None
    if now < began + last.took:
        return began + last.took
    return now + READING_TAKES if last.is_refreshing(now) else None


async def is_on_microsofts_key(work: StepContext) -> bool:
    """Return whether this job's copy is itself on the list.

    Reads the list, or goes on with what another delivery has read of it, if none is kept that can
    show the copy. Raises `ThrottledError` when no call is left: the pages are kept. Raises
    `MustWait` while another delivery reads, and if what it went on with was begun too early.
    """
    services, job, reading = work.services, work.job, _reading(work.services, work.job)
    kept = await reading.cached(_shows(services, job), services.now - _MAX_AGE)
    if kept is None:
        last = await reading.last()
        if last.is_refreshing(services.now + READING_TAKES):  # by another, page after page
            _wait(services, _ends(services, last) or services.now + READING_TAKES)
        report = await _read(work, reading)
        if report.began < _shows(services, job):
            await wait_for_key_list(services, job)
            _wait(services, services.now + timedelta(seconds=1))
        kept = tuple(report.names)
    return not {job.copy_id, job.copy_flow_name}.isdisjoint(kept)


async def _read(work: StepContext, reading: SharedSnapshotStore[tuple[str, ...]]) -> KeyReport:
    """Read the list to its end, and keep it for other copies."""
    home = work.job.environment_id
    try:
        async with key_report(work.services, home, advanced=reading.go_on) as report:
            await reading.store(tuple(sorted(report.names)), report.began)
    except CmkflowError:
        await reading.stop()
        raise
    return report


def _shows(services: Services, job: FlowJob) -> datetime:
    """Return from when on a list shows the copy: it stands, on or off as it is, since before."""
    copied = (change.at for change in job.history if change.state == FlowJobState.COPIED)
    # Else it was made before all that the history still has.
    return max(copied, default=job.history[0].at) + services.settings.read_lag


def _reading(services: Services, job: FlowJob) -> SharedSnapshotStore[tuple[str, ...]]:
    home = job.environment_id
    return SharedSnapshotStore(
        services=services, topic="microsoft-key-lists", id=home, kind=tuple[str, ...]
    )
