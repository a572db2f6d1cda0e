"""What a delivery did that was frozen for longer than the host allows, and then woke.

A rollback waits for a delivery that did not end, until its bound has passed (`settles_at`). One
that wakes later still may give the operator a flow of an ended job, or make a job for a remediation
that has ended. Nobody waits for it any more, so the daily sweep looks.
"""

from datetime import timedelta

from shared.alerts import one_row, readable, tell
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import JobBlocked, PlatformError
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.log_fields import product_log
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.flows.temporary_co_ownership import revoke_grant
from shared.steps.step_context import StepContext
from shared.use_cases.change_remediation import cancel_job
from shared.use_cases.clean_up_ended_jobs import held_ended, is_busy, take_back_of_plan

log = product_log(__name__)

#: For so long the sweep looks at a job of which a delivery did not end.
_LOOKED_AT_FOR = timedelta(days=3)


async def settle_late(services: Services) -> None:
    """Take back what the operator was given late, and cancel the jobs that were made late."""
    ended = set[tuple[str, str]]()
    environment_jobs = services.tables.environment_jobs
    async for kept in readable(services, environment_jobs.scan()):
        if _has_ended(kept.item):
            ended.add(environment_jobs.address(kept.item))
    async with services.request_budget.reserve(None):
        async for plan in readable(services, environment_jobs.scan()):
            async with one_row(services, environment_jobs.name_of(plan.item)):
                await _take_back_of_plan(services, plan)
        async for job in readable(services, services.tables.flow_jobs.scan()):
            async with one_row(services, services.tables.flow_jobs.name_of(job.item)):
                if (job.item.remediation_id, job.item.environment_job_id) in ended:
                    await _cancel_orphan(services, job.item)
                await _take_back(services, job)


def _has_ended(job: EnvironmentJob) -> bool:
    return job.is_inactive and not job.needs_action and not job.can_start_more_flows


async def _cancel_orphan(services: Services, job: FlowJob) -> None:
    """Cancel a job that has not begun, and whose remediation has ended."""
    has_begun = job.reached is not FlowJobState.PLANNED
    if has_begun or job.is_inactive or job.requested or job.is_leased(services.now):
        return
    log.warning("a job without a remediation is cancelled: %s", job.display_name)
    await cancel_job(services, job)


def _was_left_lately(services: Services, job: FlowJob | EnvironmentJob) -> bool:
    """Return whether a delivery of the job did not end, and may still wake."""
    since = job.unended_at
    return since is not None and services.now - since < _LOOKED_AT_FOR


async def _take_back_of_plan(services: Services, kept: StoredItem[EnvironmentJob]) -> None:
    """Take the operator off each flow that a plan made it a co-owner of to read the definition."""
    job = kept.item
    rests = job.has_stopped_planning and not job.is_leased(services.now)
    if not _was_left_lately(services, job) or not job.past_grants or job.has_grants or not rests:
        return
    async with held_ended(ENVIRONMENT, services, kept) as held:
        try:
            for name in job.past_grants:
                await take_back_of_plan(held, name)
        except (JobBlocked, PlatformError) as err:
            row = services.tables.environment_jobs.name_of(job)
            await tell(services, Reason.GRANT_NOT_REVOKED, row, redact(str(err)))
            raise


async def _take_back(services: Services, kept: StoredItem[FlowJob]) -> None:
    """Look once more at what an ended job ever lent the operator."""
    job = kept.item
    may_wake = _was_left_lately(services, job)
    if not may_wake or not job.past_grants or job.has_grants or is_busy(services, job):
        return
    environment = await services.environments.get(job.environment_id)
    async with held_ended(FLOW, services, kept) as held:
        try:
            for name in job.past_grants:
                await revoke_grant(StepContext(held, environment), name)
        except (
            JobBlocked,
            PlatformError,
        ) as err:  # the operator stays a co-owner: not for the log only
            row = services.tables.flow_jobs.name_of(job)
            await tell(services, Reason.GRANT_NOT_REVOKED, row, redact(str(err)))
            raise
