"""Put originals into a solution: a Power Apps (V1) flow in one moves to the key by itself.

The platform takes twenty flows a call (platform.md#move-into-solution), and few calls. So the jobs
of an environment job form batches: the first open job of a batch asks for all of it, and each job
reads back that its own flow is there. It cannot be undone by the API; the flow stays as it is.
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

#: Flows that the platform takes in one call.
BATCH = 20
#: So long after it was accepted a flow may still not be in a solution.
PATIENCE = timedelta(hours=1)


async def add_to_solution(work: StepContext) -> str:
    """Return the Dataverse id of the original once it is in a solution; else raise `MustWait`.

    Raises `JobBlocked` if the platform accepted to put it there and did not.
    """
    batch = await _batch(work)
    leader = next(job for job in batch if _is_to_be_added(job) or job.id == work.job.id)
    is_first = leader.id == work.job.id
    asked = max(
        (job.solution_requested_at for job in batch if job.solution_requested_at), default=None
    )
    if asked is None and not is_first:
        raise _wait(work, f"It is added to a solution together with {leader.display_name}.")
    found = await solution_id(work)
    is_due = asked is None or work.services.now - asked >= PATIENCE
    if found is None and is_first and is_due:
        if work.job.solution_requested_at:
            await _give_up(work)
        await _ask(work, batch)
        found = await solution_id(work)
    if found is None:
        raise _wait(work, "The platform has not put it into a solution yet.")
    return found


async def solution_id(work: StepContext) -> str | None:
    """Return the Dataverse id of the original if it is in a solution, else None."""
    job = work.job
    try:
        flow = await work.services.flow_reports.get_flow(job.environment_id, job.flow_name)
    except NotFound as err:
        raise JobBlocked(
            f"The original {job.display_name} is gone.",
            code=Reason.ORIGINAL_DELETED,
        ) from err
    return (flow.workflow_id or job.original_id) if flow.in_solution else None


async def _ask(work: StepContext, batch: tuple[FlowJob, ...]) -> None:
    """Ask for all of a batch that is open. Asked twice, the platform finds nothing to do."""
    jobs = [job for job in batch if _is_to_be_added(job) or job.id == work.job.id]
    names = [job.flow_name for job in jobs]
    add = work.services.flow_placement.add_to_solution
    await perform(
        Write(permit=work.check_write_allowed, call=lambda: add(work.job.environment_id, names))
    )
    await work.save(replace(work.job, solution_requested_at=work.services.now))
    for job in jobs:
        if job.id != work.job.id:
            place = (job.environment_id, job.id)
            await FLOW.wake_up(
                work.services, place, code=Reason.WAITING_FOR_SOLUTION_BATCH, even_blocked=True
            )


async def _batch(work: StepContext) -> tuple[FlowJob, ...]:
    """Return the jobs that are asked for together: they stay so, whatever becomes of them."""
    where = [Condition("environment_job_id", "eq", work.job.environment_job_id)]
    jobs = await work.services.tables.flow_jobs.all(work.job.environment_id, where=where)
    candidates = sorted(
        (job for job in jobs if not job.pattern.has_copy and not job.in_solution),
        key=lambda job: job.id,
    )
    place = [job.id for job in candidates].index(work.job.id) // BATCH * BATCH
    return tuple(candidates[place : place + BATCH])


def _is_to_be_added(job: FlowJob) -> bool:
    return job.requested is None and not job.is_inactive and job.is_live


async def _give_up(work: StepContext) -> NoReturn:
    job = await work.save(replace(work.job, solution_requested_at=None))  # a retry asks again
    raise JobBlocked(
        f"The platform accepted to add {job.display_name} to a solution, but it is in none.",
        code=Reason.NOT_ADDED_TO_SOLUTION,
    )


def _wait(work: StepContext, reason: str) -> MustWait:
    until = work.services.now + work.services.settings.wait_poll_interval
    return MustWait(reason, until=until, code=Reason.WAITING_FOR_SOLUTION_BATCH)
