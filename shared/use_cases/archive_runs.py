"""Archive the run history of originals, on request and before an original is deleted.

Each call archives some parts and returns the progress, so it is called until all is archived. After
a crash the next call continues from the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import read_readable
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import TICKET_WINDOW, RunArchive, RunArchiveState
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.errors import Conflict, ThrottledError, UnreadableRow
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.deleting.archive_runs import archive_run_page
from shared.use_cases.read_remediation_rows import get_remediation, read_jobs, select_named_jobs

#: Number of parts per call, one request each; fits into the time of one request.
PARTS = 20
_DEFAULT_WAIT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportWindow:
    """The time until which Microsoft's support can restore an environment's run history.

    The history is that from before the key was applied.
    """

    environment_id: str
    environment_name: str
    #: None if this remediation did not observe the end of the platform migration.
    closes_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArchiveStatus:
    """The run archives of one remediation, and its support windows."""

    archives: tuple[RunArchive, ...]
    support_windows: tuple[SupportWindow, ...]
    #: Time to wait before the next call, if any.
    retry_after: timedelta | None = None

    @property
    def is_completed(self) -> bool:
        """Return whether no run archive is in progress."""
        return all(archive.state is not RunArchiveState.IN_PROGRESS for archive in self.archives)


async def show_run_archives(services: Services, remediation_id: str) -> RunArchiveStatus:
    """Return the stored run archives and support windows of a remediation.

    Raises `NotFound` if there is no such remediation.
    """
    await get_remediation(services, remediation_id)
    found = read_readable(services, services.tables.environment_jobs.scan(remediation_id))
    jobs = [kept.item async for kept in found]
    return RunArchiveStatus(
        archives=tuple(
            [kept.item for kept in await _read_archives(services, remediation_id, jobs)]
        ),
        support_windows=tuple(build_support_window(job) for job in jobs),
    )


async def archive_runs(
    services: Services, remediation_id: str, flow_ids: Sequence[str] = ()
) -> RunArchiveStatus:
    """Archive more parts of the runs of these originals, or of all, and return the progress.

    Raises `NotFound` for an unknown remediation, and `FlowNotFound` for a flow that is not in it.
    """
    await get_remediation(services, remediation_id)
    named = select_named_jobs(await read_jobs(services, remediation_id), flow_ids)
    missing, rows = {job.id: job for job in named}, services.tables.run_archives
    for environment_id in {job.environment_id for job in named}:
        async for row in rows.scan(environment_id):
            if isinstance(row, UnreadableRow):
                if row.row[2] in missing:
                    raise row
            else:
                missing.pop(row.item.job_id, None)
    new = (build_run_archive(services, job, remediation_id) for job in missing.values())
    await rows.upsert(*new)
    wait = await _archive_run_parts(services, remediation_id)
    shown = await show_run_archives(services, remediation_id)
    return RunArchiveStatus(
        archives=shown.archives, support_windows=shown.support_windows, retry_after=wait
    )


async def _archive_run_parts(services: Services, remediation_id: str) -> timedelta | None:
    """Archive some parts of a remediation's runs.

    Returns how long to wait if the request budget is used up.
    """
    left = PARTS
    jobs = await services.tables.environment_jobs.read_all(remediation_id)
    for kept in await _read_archives(services, remediation_id, jobs):
        while kept.item.state is RunArchiveState.IN_PROGRESS:
            if left == 0:
                return None
            left -= 1
            try:
                part = await archive_run_page(services, kept.item)
                kept = await services.tables.run_archives.replace(kept, part)
            except ThrottledError as err:
                return err.retry_after or _DEFAULT_WAIT
            except Conflict:
                break  # another invocation archives it
    return None


async def _read_archives(
    services: Services, remediation_id: str, jobs: Sequence[EnvironmentJob]
) -> list[StoredItem[RunArchive]]:
    return [
        kept
        for job in jobs
        async for kept in read_readable(
            services, services.tables.run_archives.scan(job.environment_id)
        )
        if kept.item.remediation_id == remediation_id
    ]


def build_run_archive(services: Services, job: FlowJob, remediation_id: str) -> RunArchive:
    """Return a new archive of the runs of a job's original that have started until now."""
    return RunArchive(
        environment_id=job.environment_id,
        job_id=job.id,
        remediation_id=remediation_id,
        flow_name=job.original.flow_name,
        display_name=job.display_name,
        started_at=services.now,
    )


def build_support_window(job: EnvironmentJob) -> SupportWindow:
    """Return the support window of an environment job's environment.

    It is counted from the start of the discovery, before which the platform migration had ended.
    """
    over = next(
        (c.changed_at for c in job.history if c.state == EnvironmentJobState.DISCOVERING), None
    )
    is_known = over is not None and job.mode is RemediationMode.APPLY
    return SupportWindow(
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        closes_at=over + TICKET_WINDOW if over and is_known else None,
    )
