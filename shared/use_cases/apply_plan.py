"""Wait for the approval of a plan, compare it with the environment, and start its flow jobs."""

from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state, wait_until
from shared.domain.plans.pending_actions import format_count
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.engine import UNTIL_WOKEN
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.discovery_pages import remove_all_pages_but_flows
from shared.steps.planning.compare_plan import (
    exclude_unapproved_changes,
    require_new_approval_for_changes,
)
from shared.steps.planning.plan_environment import plan_now
from shared.steps.planning.start_flow_jobs import (
    list_open_jobs,
    read_planned_work,
    send_job_messages,
    start_flow_jobs,
)
from shared.steps.write_permission import (
    require_environment_without_key,
    require_linked_environment,
)

#: After the number of such flows; the second text is for one flow.
_CHANGED = ("have changed and await approval", "has changed and awaits approval")


def mark_awaiting_approval(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """Return the environment job as awaiting approval, to be checked when its plan expires."""
    until = (
        f" until {job.approval_expires_at:%Y-%m-%d %H:%M} UTC" if job.approval_expires_at else ""
    )
    number = job.awaiting_approval_count
    flows = "1 flow awaits" if number == 1 else f"{number:,} flows await"
    text = f"{flows} approval{until}.{describe_flows_migrated_elsewhere(job)}"
    job = move_to_state(job, EnvironmentJobState.AWAITING_APPROVAL, text, now=services.now)
    return replace(job, next_check_at=job.approval_expires_at)


def describe_flows_migrated_elsewhere(job: EnvironmentJob) -> str:
    """Return how many flows of the plan another remediation migrates, or "" if none.

    The text begins with a blank.
    """
    count = (job.planned_action_counts or {}).get(PlannedAction.CONTINUE_EXISTING_JOB, 0)
    flows = "1 flow belongs" if count == 1 else f"{count:,} flows belong"
    return f" {flows} to another remediation." if count else ""


async def cancel_expired_plan(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Return the environment job, cancelled if its plan has expired."""
    services, job = leased.services, leased.job
    if job.approval_expires_at and job.approval_expires_at > services.now:
        return replace(job, next_check_at=job.approval_expires_at)
    text = "Nobody approved the plan before it expired."
    return move_to_state(job, EnvironmentJobState.CANCELLED, text, now=services.now)


async def compare_with_approval(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Compare the approved plan with the environment, which may have changed since.

    The environment job continues with the unchanged items. If there are none and changed ones await
    approval, it awaits approval again.
    """
    services, job = leased.services, leased.job
    environment = await _require_planned_policy(services, job)
    now = await plan_now(leased, environment, is_limited=False)
    job = await require_new_approval_for_changes(leased, environment, now)
    rows = leased.open_rows(services.tables.discovery_pages)
    await (remove_all_pages_but_flows(rows) if job.awaiting_approval_count else rows.clear())
    unchanged = await read_planned_work(services, job)
    if job.awaiting_approval_count and not unchanged and not await list_open_jobs(services, job):
        return mark_awaiting_approval(services, job)
    number = len(unchanged)
    text = "1 flow is" if number == 1 else f"{number:,} flows are"
    text += " unchanged since the approval"
    if number := job.awaiting_approval_count:
        text += f", {number:,} {_CHANGED[number == 1]}"
    text += "."
    job = move_to_state(job, EnvironmentJobState.RUNNING_FLOW_JOBS, text, now=services.now)
    return replace(job, has_started_flow_jobs=False)


async def _require_planned_policy(services: Services, job: EnvironmentJob) -> Environment:
    """Return the environment, or raise an error if its policy is not that of the plan.

    With another policy, no flow is on the Microsoft-key list, so every flow would seem deleted.
    """
    if job.mode is RemediationMode.PREPARE:
        return await require_environment_without_key(
            services, job.environment_id, even_linked=False
        )
    return await require_linked_environment(services, job.environment_id, job.policy_id)


async def start_and_watch_flow_jobs(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Start the flow jobs of a plan, then wait until they are complete.

    Also waits until changed flows are approved, or their approval expires.
    """
    services = leased.services
    job = leased.job if leased.job.has_started_flow_jobs else await _create_flow_jobs(leased)
    if (
        job.awaiting_approval_count
        and job.approval_expires_at
        and job.approval_expires_at <= services.now
    ):
        job = await exclude_unapproved_changes(leased)
    left = await list_open_jobs(services, job)
    # The ids are hashes, so any job may be the last to end; n jobs wake this one about ln n times.
    job = replace(job, watched_job_id=left[-1].id if left else "")
    until = services.now + UNTIL_WOKEN
    if job.awaiting_approval_count and job.approval_expires_at:
        number = job.awaiting_approval_count
        flows = "1 flow" if number == 1 else f"{number:,} flows"
        text = f"{flows} {_CHANGED[number == 1]}."
        until = min(until, job.approval_expires_at)
    elif left:
        text = "Flow jobs are in progress."
    else:
        text = "No flow job is in progress any longer."
        return move_to_state(job, EnvironmentJobState.COMPLETED, text, now=services.now)
    return wait_until(job, text, until=until, now=services.now, code=Reason.FLOW_JOBS_IN_PROGRESS)


async def _create_flow_jobs(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Create the rows of all flow jobs, then send their messages."""
    services = leased.services
    jobs = await start_flow_jobs(services, leased.job)
    text = f"{format_count(len(jobs), 'flow job')} started."
    job = replace(leased.job, has_started_flow_jobs=True)
    job = await leased.save(
        move_to_state(job, EnvironmentJobState.RUNNING_FLOW_JOBS, text, now=services.now)
    )
    # Last: no flow job may start before the rows of all exist.
    await send_job_messages(services, jobs)
    return job
