"""The flows on Microsoft's key as they were read after a copy was made: one list for many copies.

The list is as long as what stays in the environment, and reads may be from before a write (contract
§15.2). So a copy waits until no reading can be older than it is, and then for the next one, which
proves all copies that came before it: it is made every few minutes, or as soon as nobody else is
there to use the calls.
"""

from datetime import datetime, timedelta

from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.job import FlowJob
from shared.errors import Waiting
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.shared_reading import SharedReading
from shared.steps.work import Work

#: A proof that stood still for longer, for a firewall or a person, wants to see another list.
_MAX_AGE = timedelta(hours=1)


async def wait_for_key_list(services: Services, job: FlowJob) -> None:
    """Return if a list that shows this job's copy, if it is on it, was or is to be read now.

    Raises `Waiting` until then. Asked before calls are taken for the proof.
    """
    until, last = _shows(services, job), await _reading(services, job).last()
    if last is not None and last < _since(services, job):
        line, latest = await services.calls.line(), last + services.settings.wait_poll
        until = max(until, min(latest, line.idle_at or latest))
    _wait(services, until)


def wait_until_shown(services: Services, job: FlowJob) -> None:
    """Return once a list that is read from now on shows this job's copy; else raise `Waiting`."""
    _wait(services, _shows(services, job))


def _wait(services: Services, until: datetime) -> None:
    if services.now < until:
        text = "The list of flows on Microsoft's key is read once the copy would be on it."
        raise Waiting(text, until=until, code=Reason.KEY_LIST)


async def is_on_microsofts_key(work: Work) -> bool:
    """Say whether this job's copy is itself on the list.

    A kept list that says so is read anew, and that decides: somebody may have mended it since.
    """
    job, reading = work.job, _reading(work.services, work.job)
    names = {job.copy_id, job.copy_flow_name}
    kept = await reading.kept(_since(work.services, job))
    if kept is not None and names.isdisjoint(kept):
        return False
    began = work.services.now
    listed = await work.services.flow_reports.microsoft_key_flows(
        job.environment_id, cannot_migrate_only=False
    )
    found = {name for flow in listed for name in (flow.workflow_id, flow.flow_name) if name}
    await reading.keep(tuple(sorted(found)), began)
    return not names.isdisjoint(found)


def _since(services: Services, job: FlowJob) -> datetime:
    """Return the moment from which on a reading has to begin."""
    return max(_shows(services, job), services.now - _MAX_AGE)


def _shows(services: Services, job: FlowJob) -> datetime:
    """Return from when on a list shows the copy: it stands, on or off as it is, since before."""
    copied = (change.at for change in job.history if change.state == JobState.COPIED)
    # Else it was made before all that the history still has.
    return max(copied, default=job.history[0].at) + services.settings.reads_lag


def _reading(services: Services, job: FlowJob) -> SharedReading[tuple[str, ...]]:
    home = job.environment_id
    return SharedReading(services=services, topic="keylists", id=home, kind=tuple[str, ...])
