"""Archive the run summaries of a remediation's originals: by order, and before one is deleted.

Nothing waits for it: copies are made, proven and cut over without it. A turn does a few parts and
tells how far it is; whoever asked asks again. After a kill the next turn goes on by the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import readable
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import TICKET_WINDOW, RunArchive, RunArchiveState
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.errors import Conflict, ThrottledError
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.deleting.archive_runs import archive_part
from shared.use_cases.read_remediation_rows import find, jobs_of, named_jobs

#: Parts of one turn, a call each: well within a request's time.
PARTS = 20
_UNTOLD_WAIT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportWindow:
    """Until when Microsoft's support can still get the history from before the key."""

    environment_id: str
    environment_name: str
    #: None: this remediation did not see the migration end.
    closes: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArchiveStatus:
    """The archives of one remediation."""

    archives: tuple[RunArchive, ...]
    support_windows: tuple[SupportWindow, ...]
    #: How long to wait before the next turn; None: no need to.
    retry_after: timedelta | None = None

    @property
    def is_completed(self) -> bool:
        """Say whether no archive is open."""
        return all(archive.state is not RunArchiveState.IN_PROGRESS for archive in self.archives)


async def show_run_archives(services: Services, remediation_id: str) -> RunArchiveStatus:
    """Return what is archived so far; reads rows only. Raises `NotFound`."""
    await find(services, remediation_id)
    found = readable(services, services.tables.environment_jobs.scan(remediation_id))
    jobs = [kept.item async for kept in found]
    return RunArchiveStatus(
        archives=tuple([kept.item for kept in await _kept(services, remediation_id, jobs)]),
        support_windows=tuple(ticket_window(job) for job in jobs),
    )


async def archive_runs(
    services: Services, remediation_id: str, flow_ids: Sequence[str] = ()
) -> RunArchiveStatus:
    """Archive a few more parts of the named originals (none named: of all) and say how far it is.

    Raises `NotFound`; `FlowNotFound` if a named flow is none of this remediation's.
    """
    await find(services, remediation_id)
    for job in named_jobs(await jobs_of(services, remediation_id), flow_ids):
        if await services.tables.run_archives.get(job.environment_id, job.id) is None:
            await services.tables.run_archives.upsert(
                new_run_archive(services, job, remediation_id)
            )
    wait = await _work(services, remediation_id)
    shown = await show_run_archives(services, remediation_id)
    return RunArchiveStatus(
        archives=shown.archives, support_windows=shown.support_windows, retry_after=wait
    )


async def _work(services: Services, remediation_id: str) -> timedelta | None:
    """Do a turn; returns how long to wait where the budget of calls is used up."""
    left = PARTS
    jobs = await services.tables.environment_jobs.all(remediation_id)
    for kept in await _kept(services, remediation_id, jobs):
        while kept.item.state is RunArchiveState.IN_PROGRESS:
            if left == 0:
                return None
            left -= 1
            try:
                part = await archive_part(services, kept.item)
                kept = await services.tables.run_archives.replace(kept, part)
            except ThrottledError as err:
                return err.retry_after or _UNTOLD_WAIT
            except Conflict:
                break  # somebody else is at it
    return None


async def _kept(
    services: Services, remediation_id: str, jobs: Sequence[EnvironmentJob]
) -> list[StoredItem[RunArchive]]:
    return [
        kept
        for job in jobs
        async for kept in readable(services, services.tables.run_archives.scan(job.environment_id))
        if kept.item.remediation_id == remediation_id
    ]


def new_run_archive(services: Services, job: FlowJob, remediation_id: str) -> RunArchive:
    """Return a new archive of the runs of a job's original that began up to now."""
    return RunArchive(
        environment_id=job.environment_id,
        job_id=job.id,
        remediation_id=remediation_id,
        flow_name=job.flow_name,
        display_name=job.display_name,
        started_at=services.now,
    )


def ticket_window(job: EnvironmentJob) -> SupportWindow:
    """Return the window: the migration was over when the job went on to discover."""
    over = next((c.at for c in job.history if c.state == EnvironmentJobState.DISCOVERING), None)
    is_known = over is not None and job.mode is RemediationMode.APPLY
    return SupportWindow(
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        closes=over + TICKET_WINDOW if over and is_known else None,
    )
