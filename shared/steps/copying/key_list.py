"""The flows on Microsoft's key as they were read after a copy was made: one list for many copies.

The list is as long as what stays in the environment, and reads may be from before a write (contract
§15.2). So a copy waits until no reading can be older than it is, and then for the next one: one is
made every few minutes, and proves all copies that came before it.
"""

from datetime import datetime, timedelta

from shared.domain.jobs.flow_states import JobState
from shared.errors import Waiting
from shared.reason import Reason
from shared.steps.flows.shared_reading import SharedReading
from shared.steps.work import Work

#: A proof that stood still for longer, for a firewall or a person, wants to see another list.
_MAX_AGE = timedelta(hours=1)


async def wait_for_key_list(work: Work) -> None:
    """Return if a list that shows this job's copy, if it is on it, was or may be read now.

    Raises `Waiting` until then. Asked before anything else is read for the proof.
    """
    services, last = work.services, await _reading(work).last()
    if last and last >= _since(work):
        return
    until = _shows(work)
    if last:
        until = max(until, last + services.settings.wait_poll)
    if services.now < until:
        text = "The list of flows on Microsoft's key is read once the copy would be on it."
        raise Waiting(text, until=until, code=Reason.KEY_LIST)


async def is_on_microsofts_key(work: Work) -> bool:
    """Say whether this job's copy is itself on the list.

    A kept list that says so is read anew, and that decides: somebody may have mended it since.
    """
    job, reading = work.job, _reading(work)
    names = {job.copy_id, job.copy_flow_name}
    kept = await reading.kept(_since(work))
    if kept is not None and names.isdisjoint(kept):
        return False
    began = work.services.now
    listed = await work.services.flow_reports.microsoft_key_flows(
        job.environment_id, cannot_migrate_only=False
    )
    found = {name for flow in listed for name in (flow.workflow_id, flow.flow_name) if name}
    await reading.keep(tuple(sorted(found)), began)
    return not names.isdisjoint(found)


def _since(work: Work) -> datetime:
    """Return the moment from which on a reading has to begin."""
    return max(_shows(work), work.services.now - _MAX_AGE)


def _shows(work: Work) -> datetime:
    """Return from when on a list shows the copy: it stands, on or off as it is, since before."""
    history = work.job.history
    copied = (change.at for change in history if change.state == JobState.COPIED)
    # Else it was made before all that the history still has.
    return max(copied, default=history[0].at) + work.services.settings.reads_lag


def _reading(work: Work) -> SharedReading[tuple[str, ...]]:
    home = work.job.environment_id
    return SharedReading(services=work.services, topic="keylists", id=home, kind=tuple[str, ...])
