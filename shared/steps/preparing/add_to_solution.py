"""Add originals to a solution, so that the platform moves Power Apps (V1) flows to the key.

The platform accepts twenty flows per request (platform.md#move-into-solution), and few requests. So
the jobs of an environment job form batches: the first open job of a batch sends the request for
all, and each job reads back its own flow. The API cannot revert this. The flow itself does not
change.
"""

from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked, MustWait, NotFound
from shared.jobs.job_kinds import FLOW
from shared.ports import Condition
from shared.reason import Reason
from shared.steps.flows.effect import Write, perform
from shared.steps.step_context import StepContext

#: Most flows per request.
FLOWS_AT_ONCE = 20
#: How long the platform may take to add a flow after it accepted the request.
LONGEST_ADDITION = timedelta(hours=1)


async def add_to_solution(work: StepContext) -> str:
    """Return the Dataverse id of the original once it is in a solution.

    Raises `MustWait` until then, and `JobBlocked` if the platform accepted the request and did not
    add the flow.
    """
    batch = await _read_batch(work)
    leader = next(job for job in batch if _is_to_be_added(job) or job.id == work.job.id)
    is_first = leader.id == work.job.id
    requested_at = max(
        (job.solution_requested_at for job in batch if job.solution_requested_at), default=None
    )
    if requested_at is None and not is_first:
        raise _build_wait_for_addition(
            work, f"The app adds it to a solution together with {leader.display_name}."
        )
    found = await read_workflow_id_in_solution(work)
    is_due = requested_at is None or work.services.now - requested_at >= LONGEST_ADDITION
    if found is None and is_first and is_due:
        if work.job.solution_requested_at:
            await _raise_job_blocked(work)
        await _request_addition_of_batch(work, batch)
        found = await read_workflow_id_in_solution(work)
    if found is None:
        raise _build_wait_for_addition(work, "The platform has not added it to a solution yet.")
    return found


async def read_workflow_id_in_solution(work: StepContext) -> str | None:
    """Return the Dataverse id of the original if it is in a solution, else None.

    Raises `JobBlocked` if the original was deleted.
    """
    job = work.job
    try:
        flow = await work.services.flow_reports.get_flow(job.environment_id, job.original.flow_name)
    except NotFound as err:
        raise JobBlocked(
            f"The original {job.display_name} was deleted.",
            code=Reason.ORIGINAL_DELETED,
        ) from err
    return (flow.workflow_id or job.original.id) if flow.in_solution else None


async def _request_addition_of_batch(work: StepContext, batch: tuple[FlowJob, ...]) -> None:
    jobs = [job for job in batch if _is_to_be_added(job) or job.id == work.job.id]
    names = [job.original.flow_name for job in jobs]
    add = work.services.flow_placement.add_to_solution
    await perform(
        Write(
            permit=work.require_write_allowed,
            call=lambda: add(work.job.environment_id, names),
            wait=work.services.request_budget.wait_for_requests,
        )
    )
    await work.save(replace(work.job, solution_requested_at=work.services.now))
    for job in jobs:
        if job.id != work.job.id:
            place = (job.environment_id, job.id)
            await FLOW.wake_up(
                work.services, place, code=Reason.WAITING_FOR_SOLUTION_BATCH, even_blocked=True
            )


async def _read_batch(work: StepContext) -> tuple[FlowJob, ...]:
    """Return the jobs of this job's batch, whatever their state."""
    where = [Condition("environment_job_id", "eq", work.job.environment_job_id)]
    jobs = await work.services.tables.flow_jobs.read_all(work.job.environment_id, where=where)
    candidates = sorted(
        (job for job in jobs if not job.migration_method.has_copy and not job.original.in_solution),
        key=lambda job: job.id,
    )
    place = [job.id for job in candidates].index(work.job.id) // FLOWS_AT_ONCE * FLOWS_AT_ONCE
    return tuple(candidates[place : place + FLOWS_AT_ONCE])


def _is_to_be_added(job: FlowJob) -> bool:
    return job.requested_command is None and not job.is_inactive and job.is_live


async def _raise_job_blocked(work: StepContext) -> NoReturn:
    job = await work.save(replace(work.job, solution_requested_at=None))  # a retry asks again
    raise JobBlocked(
        f"The platform accepted the request to add {job.display_name} to a solution, but it is in "
        "none.",
        code=Reason.NOT_ADDED_TO_SOLUTION,
    )


def _build_wait_for_addition(work: StepContext, reason: str) -> MustWait:
    until = work.services.now + work.services.settings.wait_poll_interval
    return MustWait(reason, until=until, code=Reason.WAITING_FOR_SOLUTION_BATCH)
