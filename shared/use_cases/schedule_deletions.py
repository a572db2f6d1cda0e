"""Schedule, list and cancel deletions of a remediation's retired originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.concurrency import read_each
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.deletion import (
    Deletion,
    DeletionApproval,
    build_new_deletion,
    describe_consequences,
    find_earliest_delete_at,
    find_retired_at,
)
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import Conflict, JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.write_permission import read_environment_settings, require_flow_not_excluded
from shared.use_cases.deletion_rows import cancel_deletion_if_allowed, read_deletions
from shared.use_cases.read_remediation_rows import (
    RowReader,
    get_remediation,
    read_jobs,
    reject_self_approval,
    select_named_jobs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionInput:
    #: Earliest time of the deletion, in UTC.
    delete_at: datetime
    approved_by: str
    #: Object id in Entra; empty if unknown.
    approved_by_id: str = ""
    #: Workflow ids or flow names; empty for all retired originals that are not deleted.
    flow_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletableOriginal:
    """A retired original that can be deleted, with the consequences of its deletion."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    earliest_delete_at: datetime
    consequences: tuple[str, ...]
    #: Name in the archive of its definition before the copy was made.
    archive_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionList:
    """The deletions of a remediation, and the originals whose deletion can be scheduled."""

    deletions: tuple[Deletion, ...]
    deletable_originals: tuple[DeletableOriginal, ...]


async def show_deletions(services: Services, remediation_id: str) -> DeletionList:
    """Return the stored deletions of a remediation, and the originals that can be deleted.

    Raises `NotFound` if there is no such remediation.
    """
    reading = RowReader()
    jobs = await read_jobs(services, remediation_id, reading)
    found = await read_deletions(services, jobs, reading)
    hidden = {row.row[2] for row in reading.unreadable}  # these may already be scheduled
    candidates = [
        _build_deletable_original(services, job, first)
        for job in _select_not_deleted(jobs, found)
        if job.id not in hidden and (first := find_earliest_deletion_at(services, job))
    ]
    return DeletionList(deletions=tuple(found.values()), deletable_originals=tuple(candidates))


async def schedule_deletions(
    services: Services, remediation_id: str, request: DeletionInput
) -> list[Deletion]:
    """Schedule the deletion of these retired originals.

    Schedules none if one of them cannot be deleted at that time. Raises `JobBlocked` for such an
    original, or if the person started the remediation. Raises `NotFound` for an unknown
    remediation.
    """
    reject_self_approval(
        services, await get_remediation(services, remediation_id), request.approved_by_id
    )
    jobs = await read_jobs(services, remediation_id)
    earlier = await read_deletions(services, jobs)
    chosen = _select_jobs_to_delete(jobs, earlier, request.flow_ids)
    settings = {
        environment_id: await read_environment_settings(services, environment_id)
        for environment_id in {job.environment_id for job in chosen}
    }
    for job in chosen:
        _require_deletable_original(
            services, job, settings[job.environment_id], earlier.get(job.id), request
        )
    return await read_each(chosen, lambda job: _store_deletion(services, job, request))


async def cancel_deletions(
    services: Services, remediation_id: str, flow_ids: tuple[str, ...], *, by: str
) -> int:
    """Cancel the deletions of these originals, or of all, and return their number.

    Raises `NotFound` if there is no such remediation. If some originals are already being deleted,
    cancels the other deletions, then raises `Conflict`.
    """
    jobs = select_named_jobs(await read_jobs(services, remediation_id), flow_ids)
    text = f"Cancelled by {by}. The original is kept."
    count = sum(await read_each(jobs, lambda job: cancel_deletion_if_allowed(services, job, text)))
    left = await read_deletions(services, jobs)
    too_late = [
        job.display_name
        for job in jobs
        if job.id in left and left[job.id].state is DeletionState.DELETING
    ]
    if too_late:
        names = ", ".join(sorted(too_late))
        message = f"{count} deletions cancelled. Already being deleted: {names}."
        raise Conflict(message)
    return count


def _select_jobs_to_delete(
    jobs: list[FlowJob], earlier: dict[str, Deletion], flow_ids: tuple[str, ...]
) -> Sequence[FlowJob]:
    if flow_ids:
        return select_named_jobs(jobs, flow_ids)
    chosen = _select_not_deleted(jobs, earlier)
    if not chosen:
        raise JobBlocked(
            "This remediation has no retired original that can be deleted.",
            fix="Wait until its flows are retired.",
            code=Reason.ORIGINAL_NOT_RETIRED,
        )
    return chosen


def _select_not_deleted(jobs: list[FlowJob], earlier: dict[str, Deletion]) -> list[FlowJob]:
    return [
        job
        for job in jobs
        if find_retired_at(job)
        and not (job.id in earlier and earlier[job.id].state_properties.may_be_deleted)
    ]


def _require_deletable_original(
    services: Services,
    job: FlowJob,
    settings: EnvironmentSettings,
    earlier: Deletion | None,
    request: DeletionInput,
) -> None:
    first = find_earliest_deletion_at(services, job)
    if first is None or job.requested_command:
        raise JobBlocked(
            f"{job.display_name} is not retired.",
            fix="Only retired originals can be deleted. Wait, or exclude this flow.",
            code=Reason.ORIGINAL_NOT_RETIRED,
        )
    if request.delete_at < first or request.delete_at <= services.now:
        soonest = max(first, services.now)
        raise JobBlocked(
            f"{job.display_name} cannot be deleted on {request.delete_at:%Y-%m-%d %H:%M} UTC.",
            fix=f"Choose a time after {soonest:%Y-%m-%d %H:%M} UTC.",
            code=Reason.DELETION_DATE_TOO_EARLY,
        )
    if earlier and earlier.state_properties.may_be_deleted:
        raise JobBlocked(
            f"{job.display_name} is already {earlier.state}.",
            fix="Exclude this flow. If it was restored since, delete it manually.",
            code=Reason.ORIGINAL_ALREADY_DELETED,
        )
    if settings.approval_policy is ApprovalPolicy.READ_ONLY:
        raise JobBlocked(
            f"Environment {job.environment_id} has approval policy read_only. The app may not "
            "change it.",
            fix="Set its approval policy to required or automatic, then schedule it again.",
            code=Reason.ENVIRONMENT_READ_ONLY,
        )
    require_flow_not_excluded(settings, job)


async def _store_deletion(services: Services, job: FlowJob, request: DeletionInput) -> Deletion:
    """Store a deletion. Raises `Conflict` if the delete request may have been sent already."""
    approval = DeletionApproval(
        delete_at=request.delete_at, approved_by=request.approved_by, approved_at=services.now
    )
    new = build_new_deletion(job, approval, None)

    def with_schedule(earlier: Deletion | None) -> Deletion:
        nonlocal new
        if earlier and earlier.state_properties.may_be_deleted:
            message = f"{job.display_name} is already {earlier.state}."
            raise Conflict(message)
        new = build_new_deletion(job, approval, earlier)
        return new

    await services.tables.deletions.change(job.environment_id, job.id, with_schedule)
    return new


def find_earliest_deletion_at(services: Services, job: FlowJob) -> datetime | None:
    """Return the earliest time by the app's settings, or None if the job is not retired."""
    settings = services.settings
    return find_earliest_delete_at(
        job, delay=settings.deletion_delay, quiet=settings.no_call_period
    )


def _build_deletable_original(
    services: Services, job: FlowJob, first: datetime
) -> DeletableOriginal:
    return DeletableOriginal(
        environment_id=job.environment_id,
        job_id=job.id,
        original_id=job.original.id,
        flow_name=job.original.flow_name,
        display_name=job.display_name,
        earliest_delete_at=max(first, services.now),
        consequences=describe_consequences(job),
        archive_name=job.archive_name,
    )
