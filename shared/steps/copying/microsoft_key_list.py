"""Read the Microsoft-key list once for many copies, to verify that none of them is on it.

The list may be long, and it may show an older state (platform.md#reads-lag). So a copy waits until
every new read would show it, and then for the next read, which verifies all earlier copies too. The
list is read every few minutes, or sooner if no other job needs the requests.
"""

from datetime import datetime, timedelta

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.shared_snapshot import MICROSOFT_KEY_LISTS, SharedSnapshot
from shared.errors import CmkflowError, MustWait
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.key_report import KeyReport, open_key_report
from shared.steps.flows.shared_snapshots import READING_TAKES, SharedSnapshotStore
from shared.steps.step_context import StepContext

#: If a verification was delayed for longer, by a firewall or a person, it needs another list.
_MAX_AGE = timedelta(hours=1)
#: A long list is read again after this many times the duration of a read, so that most of the time
#: other requests can be sent.
_PAUSES = 4


async def wait_for_key_list(services: Services, job: FlowJob) -> None:
    """Raise `MustWait` until a list that would show this job's copy is stored or may be read.

    Call it before requests are reserved for the verification.
    """
    last, shows = (
        await _build_snapshot_store(services, job).read_last(),
        _compute_visible_at(services, job),
    )
    fits = last.is_newer_than(shows, services.now - _MAX_AGE)
    _wait_for_list_until(
        services, shows if fits else max(shows, await _get_next_reading_at(services, last))
    )


def wait_until_list_shows_copy(services: Services, job: FlowJob) -> None:
    """Raise `MustWait` until a list that is read now would show this job's copy."""
    _wait_for_list_until(services, _compute_visible_at(services, job))


def _wait_for_list_until(services: Services, until: datetime) -> None:
    if services.now < until:
        text = "The app waits until the list of flows on Microsoft's key would show the copy."
        raise MustWait(text, until=until, code=Reason.WAITING_FOR_MICROSOFT_KEY_LIST)


async def _get_next_reading_at(services: Services, last: SharedSnapshot) -> datetime:
    if last.goes_on_since or last.read_at is None:
        return _estimate_reading_end(services, last) or services.now
    pause = max(services.settings.wait_poll_interval, _PAUSES * last.took)
    latest, line = last.read_at + pause, await services.request_budget.read_queue_status()
    return min(latest, line.empty_at or latest)


def _estimate_reading_end(services: Services, last: SharedSnapshot) -> datetime | None:
    """Return the probable end of a long reading in progress, or None if this job need not wait."""
    now, began = services.now, last.goes_on_since
    if began is None or now - began < READING_TAKES:
        return None
    if now < began + last.took:
        return began + last.took
    return now + READING_TAKES if last.lease.is_held(now) else None


async def is_on_microsofts_key(work: StepContext) -> bool:
    """Return whether this job's copy is itself on the list of flows on Microsoft's key.

    If no stored list would show the copy, reads the list, or continues a reading that another
    invocation started. Raises `ThrottledError` if no request is allowed; the pages are stored.
    Raises `MustWait` while another invocation reads, or if the continued reading was started before
    the list could show the copy.
    """
    services, job, store = work.services, work.job, _build_snapshot_store(work.services, work.job)
    kept = await store.read_cached(_compute_visible_at(services, job), services.now - _MAX_AGE)
    if kept is None:
        last = await store.read_last()
        # Another invocation reads it page by page.
        if last.lease.is_held(services.now + READING_TAKES):
            _wait_for_list_until(
                services, _estimate_reading_end(services, last) or services.now + READING_TAKES
            )
        report = await _read_key_list(work, store)
        if report.began < _compute_visible_at(services, job):
            await wait_for_key_list(services, job)
            _wait_for_list_until(services, services.now + timedelta(seconds=1))
        kept = tuple(report.ids)
    return not {job.copy.id, job.copy.flow_name}.isdisjoint(kept)


async def _read_key_list(
    work: StepContext, store: SharedSnapshotStore[tuple[str, ...]]
) -> KeyReport:
    home = work.job.environment_id
    try:
        async with open_key_report(
            work.services, home, advanced=store.record_reading_continues
        ) as report:
            await store.store(tuple(sorted(report.ids)), report.began)
    except CmkflowError:
        await store.record_reading_stopped()
        raise
    return report


def _compute_visible_at(services: Services, job: FlowJob) -> datetime:
    """Return the time from which every new list shows the copy if it is on Microsoft's key."""
    copied = (change.changed_at for change in job.history if change.state == FlowJobState.COPIED)
    # If the history no longer has the entry, it was before all entries.
    return max(copied, default=job.history[0].changed_at) + services.settings.read_lag


def _build_snapshot_store(services: Services, job: FlowJob) -> SharedSnapshotStore[tuple[str, ...]]:
    home = job.environment_id
    return SharedSnapshotStore(
        services=services, topic=MICROSOFT_KEY_LISTS, id=home, kind=tuple[str, ...]
    )
