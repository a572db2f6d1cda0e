"""From the approval to the end: wait for it, compare with what was approved, dispatch, watch."""

from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state, wait_until
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.engine import UNTIL_WOKEN
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.discovery_pages import keep_flows_only
from shared.steps.planning.compare_plan import leave_unapproved, require_new_approval_for_changes
from shared.steps.planning.plan_environment import plan_now
from shared.steps.planning.start_flow_jobs import (
    open_jobs,
    planned_work,
    send_job_messages,
    start_flow_jobs,
)
from shared.steps.write_permission import (
    require_environment_without_key,
    require_linked_environment,
)


def await_approval(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """Let the job wait for its approval until its plan expires."""
    until = f" until {job.expires:%Y-%m-%d %H:%M} UTC" if job.expires else ""
    text = f"{job.awaiting} flows wait for approval{until}."
    job = move_to_state(job, EnvironmentJobState.AWAITING_APPROVAL, text, now=services.now)
    return replace(job, due=job.expires)


async def expire(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Cancel a plan that nobody approved in time."""
    services, job = held.services, held.job
    if job.expires and job.expires > services.now:
        return replace(job, due=job.expires)
    text = "Nobody approved the plan before it expired."
    return move_to_state(job, EnvironmentJobState.CANCELLED, text, now=services.now)


async def compare_with_approval(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Days may have passed since the plan was made: only what is as it was approved goes on."""
    services, job = held.services, held.job
    environment = await _as_planned(services, job)
    now = await plan_now(held, environment, is_limited=False)
    job = await require_new_approval_for_changes(held, environment, now)
    rows = held.rows(services.tables.discovery_pages)
    await (keep_flows_only(rows) if job.awaiting else rows.clear())
    goes = await planned_work(services, job)
    if job.awaiting and not goes and not await open_jobs(services, job):
        return await_approval(services, job)
    text = f"{len(goes)} flows are as they were approved"
    text += f", {job.awaiting} have changed and wait for approval." if job.awaiting else "."
    job = move_to_state(job, EnvironmentJobState.RUNNING_FLOW_JOBS, text, now=services.now)
    return replace(job, has_started_flow_jobs=False)


async def _as_planned(services: Services, job: EnvironmentJob) -> Environment:
    """Return the environment if it has the policy, or none, that its plan was made for.

    Elsewhere nothing is listed on Microsoft's key: each flow would seem to be gone. Raises
    `Waiting` or `JobBlocked`.
    """
    if job.mode is RemediationMode.PREPARE:
        return await require_environment_without_key(
            services, job.environment_id, even_linked=False
        )
    return await require_linked_environment(services, job.environment_id, job.policy_id)


async def start_and_watch_flow_jobs(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Make the flow jobs, then wait for their end, and for the approval of what has changed."""
    services = held.services
    job = held.job if held.job.has_started_flow_jobs else await _dispatch(held)
    if job.awaiting and job.expires and job.expires <= services.now:
        job = await leave_unapproved(held)
    left = await open_jobs(services, job)
    # Any is as likely to be the last, for ids are hashes: n of them wake this job about ln n times.
    job = replace(job, watched_job_id=left[-1].id if left else "")
    until = services.now + UNTIL_WOKEN
    if job.awaiting and job.expires:
        text = f"Waiting for approval since they changed: {job.awaiting}."
        return wait_until(
            job,
            text,
            until=min(until, job.expires),
            now=services.now,
            code=Reason.FLOW_JOBS_IN_PROGRESS,
        )
    if left:
        return wait_until(
            job,
            "Its flow jobs go on.",
            until=until,
            now=services.now,
            code=Reason.FLOW_JOBS_IN_PROGRESS,
        )
    text = "Every flow job has ended."
    return move_to_state(job, EnvironmentJobState.COMPLETED, text, now=services.now)


async def _dispatch(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Make the flow jobs, then announce them: each waits until the rows of all stand."""
    services = held.services
    jobs = await start_flow_jobs(services, held.job)
    text = f"{len(jobs)} flow jobs are on their way."
    job = replace(held.job, has_started_flow_jobs=True)
    job = await held.save(
        move_to_state(job, EnvironmentJobState.RUNNING_FLOW_JOBS, text, now=services.now)
    )
    await send_job_messages(services, jobs)
    return job
