"""Clean up after invocations that were frozen longer than the host permits and then continued.

Such an invocation may make the service account a co-owner for an ended job, or create a job for an
ended remediation.
"""

from datetime import timedelta

from shared.alerts import catch_row_errors, read_readable, send_alert
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import JobBlocked, PlatformError
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.temporary_co_ownership import revoke_grant
from shared.steps.step_context import StepContext
from shared.use_cases.change_remediation import cancel_job
from shared.use_cases.clean_up_ended_jobs import is_busy, lease_ended_job, revoke_planning_grant

log = get_product_log(__name__)

#: How long the daily check checks a job with an interrupted invocation.
_LOOKED_AT_FOR = timedelta(days=3)


async def clean_up_late_invocations(services: Services) -> None:
    """Revoke grants that were made late, and cancel jobs that were created late."""
    ended = set[tuple[str, str]]()
    environment_jobs = services.tables.environment_jobs
    async for kept in read_readable(services, environment_jobs.scan()):
        if _has_ended(kept.item):
            ended.add(environment_jobs.get_address(kept.item))
    async with services.request_budget.reserve(None):
        async for plan in read_readable(services, environment_jobs.scan()):
            async with catch_row_errors(services, environment_jobs.get_row_name(plan.item)):
                await _revoke_grants_of_plan(services, plan)
        async for job in read_readable(services, services.tables.flow_jobs.scan()):
            async with catch_row_errors(services, services.tables.flow_jobs.get_row_name(job.item)):
                if (job.item.remediation_id, job.item.environment_job_id) in ended:
                    await _cancel_orphaned_job(services, job.item)
                await _revoke_grants_of_flow_job(services, job)


def _has_ended(job: EnvironmentJob) -> bool:
    return job.is_inactive and not job.needs_action and not job.can_start_more_flows


async def _cancel_orphaned_job(services: Services, job: FlowJob) -> None:
    """Cancel a job that has not started although its remediation is over."""
    has_begun = job.step is not FlowJobState.PLANNED
    if has_begun or job.is_inactive or job.requested_command or job.lease.is_held(services.now):
        return
    log.warning("job without a remediation cancelled: %s", job.display_name)
    await cancel_job(services, job)


def _may_invocation_continue(services: Services, job: FlowJob | EnvironmentJob) -> bool:
    since = job.unended_at
    return since is not None and services.now - since < _LOOKED_AT_FOR


async def _revoke_grants_of_plan(services: Services, kept: StoredItem[EnvironmentJob]) -> None:
    job = kept.item
    rests = job.has_stopped_planning and not job.lease.is_held(services.now)
    if (
        not _may_invocation_continue(services, job)
        or not job.grants.past
        or job.has_grants
        or not rests
    ):
        return
    async with lease_ended_job(ENVIRONMENT, services, kept) as held:
        try:
            for name in job.grants.past:
                await revoke_planning_grant(held, name)
        except (JobBlocked, PlatformError) as err:
            row = services.tables.environment_jobs.get_row_name(job)
            await send_alert(services, Reason.GRANT_NOT_REVOKED, row, redact(str(err)))
            raise


async def _revoke_grants_of_flow_job(services: Services, kept: StoredItem[FlowJob]) -> None:
    job = kept.item
    may_wake = _may_invocation_continue(services, job)
    if not may_wake or not job.grants.past or job.has_grants or is_busy(services, job):
        return
    environment = await services.environments.get(job.environment_id)
    async with lease_ended_job(FLOW, services, kept) as held:
        try:
            for name in job.grants.past:
                await revoke_grant(StepContext(held, environment), name)
        except (
            JobBlocked,
            PlatformError,
        ) as err:  # the service account is still a co-owner, which a person must know
            row = services.tables.flow_jobs.get_row_name(job)
            await send_alert(services, Reason.GRANT_NOT_REVOKED, row, redact(str(err)))
            raise
