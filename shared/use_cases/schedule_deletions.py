"""Order, show and cancel the dated deletes of a remediation's retired originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion import (
    Deletion,
    DeletionApproval,
    describe_consequences,
    earliest_delete_at,
    new_deletion,
    retired_at,
)
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import Conflict, JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.write_permission import reject_excluded_flow, settings_of
from shared.use_cases.deletion_rows import cancel_if_allowed, deletions_of
from shared.use_cases.read_remediation_rows import (
    RowReader,
    find,
    jobs_of,
    named_jobs,
    reject_self_approval,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionInput:
    """What an administrator approves."""

    #: Not before this moment (UTC).
    on: datetime
    by: str
    #: Object id in Entra; empty: it is not known who it is.
    approved_by_id: str = ""
    #: Workflow ids or flow names; empty: every retired original that is not deleted yet.
    flow_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletableOriginal:
    """A retired original that stands: what may be ordered, and what it would end."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    earliest: datetime
    ends: tuple[str, ...]
    #: Where its definition before the copy is archived.
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionList:
    """The deletions of one remediation, and the originals that may be ordered, once more too."""

    deletions: tuple[Deletion, ...]
    candidates: tuple[DeletableOriginal, ...]


async def show_deletions(services: Services, remediation_id: str) -> DeletionList:
    """Return the deletions of a remediation; reads rows only. Raises `NotFound`."""
    reading = RowReader()
    jobs = await jobs_of(services, remediation_id, reading)
    found = await deletions_of(services, jobs, reading)
    hidden = {row.row[2] for row in reading.unreadable}  # perhaps ordered already
    candidates = [
        _candidate(services, job, first)
        for job in _standing(jobs, found)
        if job.id not in hidden and (first := _earliest(services, job))
    ]
    return DeletionList(deletions=tuple(found.values()), candidates=tuple(candidates))


async def schedule_deletions(
    services: Services, remediation_id: str, order: DeletionInput
) -> list[Deletion]:
    """Schedule the deletes of some retired originals: all that are named, or none.

    Raises `NotFound`, and `JobBlocked` for what cannot be deleted then.
    """
    reject_self_approval(services, await find(services, remediation_id), order.approved_by_id)
    jobs = await jobs_of(services, remediation_id)
    earlier = await deletions_of(services, jobs)
    chosen = _chosen(jobs, earlier, order.flow_ids)
    for job in chosen:
        await _check(services, job, earlier.get(job.id), order)
    return [await _schedule(services, job, order) for job in chosen]


async def cancel_deletions(
    services: Services, remediation_id: str, flow_ids: tuple[str, ...], *, by: str
) -> int:
    """Cancel the deletes of these originals (none named: of all); returns how many.

    Raises `NotFound`, and `Conflict` once all that stand are cancelled, if for some it is too late.
    """
    jobs = named_jobs(await jobs_of(services, remediation_id), flow_ids)
    count, too_late = 0, []
    for job in jobs:
        count += await cancel_if_allowed(services, job, f"Cancelled by {by}: the original is kept.")
        kept = await services.tables.deletions.get(job.environment_id, job.id)
        if kept and kept.item.state is DeletionState.DELETING:
            too_late.append(job.display_name)
    if too_late:
        names = ", ".join(sorted(too_late))
        message = f"{count} deletes are cancelled; being deleted at this moment: {names}."
        raise Conflict(message)
    return count


def _chosen(
    jobs: list[FlowJob], earlier: dict[str, Deletion], flow_ids: tuple[str, ...]
) -> Sequence[FlowJob]:
    if flow_ids:
        return named_jobs(jobs, flow_ids)
    chosen = _standing(jobs, earlier)
    if not chosen:
        raise JobBlocked(
            "This remediation has no retired original that stands.",
            instruction="Wait until its jobs are retired.",
            code=Reason.ORIGINAL_NOT_RETIRED,
        )
    return chosen


def _standing(jobs: list[FlowJob], earlier: dict[str, Deletion]) -> list[FlowJob]:
    """Return the retired originals that are neither deleted nor being deleted."""
    return [
        job
        for job in jobs
        if retired_at(job)
        and not (job.id in earlier and earlier[job.id].state_properties.may_be_deleted)
    ]


async def _check(
    services: Services, job: FlowJob, earlier: Deletion | None, order: DeletionInput
) -> None:
    first = _earliest(services, job)
    if first is None or job.requested:
        raise JobBlocked(
            f"{job.display_name} is not retired.",
            instruction="Only a retired original may be deleted: wait, or leave it out.",
            code=Reason.ORIGINAL_NOT_RETIRED,
        )
    if order.on < first or order.on <= services.now:
        soonest = max(first, services.now)
        raise JobBlocked(
            f"{job.display_name} may not be deleted on {order.on:%Y-%m-%d %H:%M} UTC.",
            instruction=f"Order it for a time after {soonest:%Y-%m-%d %H:%M} UTC.",
            code=Reason.DELETION_DATE_TOO_EARLY,
        )
    if earlier and earlier.state_properties.may_be_deleted:
        raise JobBlocked(
            f"{job.display_name} is {earlier.state} already.",
            instruction="Leave it out. Restored since? Delete it by hand.",
            code=Reason.ORIGINAL_ALREADY_DELETED,
        )
    settings = await settings_of(services, job.environment_id)
    if settings.mode is ApprovalPolicy.READ_ONLY:
        raise JobBlocked(
            f"Environment {job.environment_id} is in mode read_only: nothing is written there.",
            instruction="Set its mode to required or automatic, then order it again.",
            code=Reason.ENVIRONMENT_READ_ONLY,
        )
    reject_excluded_flow(settings, job)


async def _schedule(services: Services, job: FlowJob, order: DeletionInput) -> Deletion:
    """Write the row; a race with the delete itself is decided by the row."""
    new = new_deletion(job, DeletionApproval(on=order.on, by=order.by, at=services.now), None)

    def scheduled(earlier: Deletion | None) -> Deletion:
        nonlocal new
        if earlier and earlier.state_properties.may_be_deleted:
            message = f"{job.display_name} is {earlier.state} already."
            raise Conflict(message)
        new = new_deletion(
            job, DeletionApproval(on=order.on, by=order.by, at=services.now), earlier
        )
        return new

    await services.tables.deletions.change(job.environment_id, job.id, scheduled)
    return new


def _earliest(services: Services, job: FlowJob) -> datetime | None:
    settings = services.settings
    return earliest_delete_at(job, delay=settings.deletion_delay, quiet=settings.no_call_period)


def _candidate(services: Services, job: FlowJob, first: datetime) -> DeletableOriginal:
    return DeletableOriginal(
        environment_id=job.environment_id,
        job_id=job.id,
        original_id=job.original_id,
        flow_name=job.flow_name,
        display_name=job.display_name,
        earliest=max(first, services.now),
        ends=describe_consequences(job),
        archive=job.archive,
    )
