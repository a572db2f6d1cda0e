"""Clean up after invocations that were interrupted while, or after, their job ended.

A job that is retired, blocked or failed has no later step that would revoke its grants, and an
invocation may be frozen longer than the host permits.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from shared.alerts import catch_row_errors, read_readable, send_alert
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, Workflow, WorkflowSummary, WorkflowUpdate
from shared.domain.jobs.durable_job import DurableJob, mark_write_in_flight
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.timer_run import DailyCheckTarget
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, JobBlocked, NotFound, PlatformError
from shared.jobs.engine import JobKind
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.jobs.leased_job import LeasedJob
from shared.logs.fields import get_product_log
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.effect import perform
from shared.steps.flows.original import find_original
from shared.steps.flows.temporary_co_ownership import (
    format_grants_not_revoked,
    is_still_co_owner,
    remove_co_ownership,
    revoke_all_grants,
    revoke_remaining_grants,
)
from shared.steps.flows.update_workflow import build_flow_write
from shared.steps.rolling_back.final_check import wait_and_revoke_grants
from shared.steps.step_context import WRITE_TAKES, StepContext
from shared.steps.write_permission import require_write_allowed
from shared.use_cases.check_in_rotation import check_flows_in_rotation

log = get_product_log(__name__)


async def revoke_leftover_grants(
    services: Services,
    plans: Sequence[StoredItem[EnvironmentJob]],
    flows: Sequence[StoredItem[FlowJob]],
) -> None:
    """Revoke the grants of jobs that have no further step in which to revoke them."""
    async with services.request_budget.reserve(None):
        await _revoke_grants_of_environment_jobs(services, plans)
        await _revoke_grants_of_flow_jobs(services, flows)


async def _revoke_grants_of_flow_jobs(
    services: Services, flows: Sequence[StoredItem[FlowJob]]
) -> None:
    table = services.tables.flow_jobs
    for kept in flows:
        job = kept.item
        if (
            not job.has_grants_to_check
            or is_busy(services, job)
            or job.has_write_in_flight(services.now)
        ):
            continue
        async with (
            catch_row_errors(services, table.get_row_name(job)),
            lease_ended_job(FLOW, services, kept) as held,
        ):
            work = StepContext(held, await services.environments.get(job.environment_id))
            try:
                await wait_and_revoke_grants(work)
                await revoke_all_grants(work)
                await revoke_remaining_grants(work)
            except (
                JobBlocked,
                PlatformError,
            ) as err:  # the service account is still a co-owner, which a person must know
                await send_alert(
                    services, Reason.GRANT_NOT_REVOKED, table.get_row_name(job), redact(str(err))
                )
                raise


async def _revoke_grants_of_environment_jobs(
    services: Services, plans: Sequence[StoredItem[EnvironmentJob]]
) -> None:
    table = services.tables.environment_jobs
    for kept in plans:
        job = kept.item
        rests = job.has_stopped_planning and not job.lease.is_held(services.now)
        if not job.has_grants_to_check or not rests or job.has_write_in_flight(services.now):
            continue
        async with (
            catch_row_errors(services, table.get_row_name(job)),
            lease_ended_job(ENVIRONMENT, services, kept) as held,
        ):
            try:
                await _revoke_grants_of_plan(held)
            except (JobBlocked, PlatformError) as err:
                await send_alert(
                    services, Reason.GRANT_NOT_REVOKED, table.get_row_name(job), redact(str(err))
                )
                raise


async def _revoke_grants_of_plan(held: LeasedJob[EnvironmentJob]) -> None:
    """Revoke the grants of a plan, and again those whose revocation had no effect."""
    services, job, kept = held.services, held.job, list[str]()
    at, now = job.grants.returned_at, services.now
    is_checked = at is not None and now >= at + services.settings.read_lag
    if is_checked:
        kept = [
            name
            for name in job.grants.returned
            if await is_still_co_owner(services, job.environment_id, name)
        ]
    grants = (*job.grants.active, *job.grants.past) if job.has_grants else ()
    flows = dict.fromkeys((*grants, *kept))
    for flow_name in flows:
        await revoke_planning_grant(held, flow_name)
    if kept:
        row = services.tables.environment_jobs.get_row_name(job)
        await send_alert(services, Reason.GRANT_NOT_REVOKED, row, format_grants_not_revoked(kept))
    returned = flows if is_checked else dict.fromkeys((*job.grants.returned, *flows))
    at = now if flows else None if is_checked else at
    after = replace(held.job.grants, active=(), returned=tuple(returned), returned_at=at)
    await held.save(replace(held.job, grants=after, in_flight_until=None))


async def revoke_planning_grant(held: LeasedJob[EnvironmentJob], flow_name: str) -> None:
    """Revoke the grant for a flow that an environment job needed for its plan."""
    services, home = held.services, held.job.environment_id

    async def require_revocation_allowed() -> None:
        await require_write_allowed(services, home, anytime=True)
        await held.ensure_lease(WRITE_TAKES)

    await remove_co_ownership(services, (home, flow_name), require_revocation_allowed)


async def turn_off_orphaned_copies(services: Services, environment: Environment) -> int:
    """Turn off copies that no flow job needs, and send alerts about them.

    A copy stays on if its original is not on. Returns how many copies were not checked.
    """
    table, copies = services.tables.flow_jobs, dict[str, str]()
    if environment.dataverse_url is None:
        return 0
    for state in (state for state, facts in FLOW_STATES.items() if facts.is_withdrawn):
        where = [Condition("state", "eq", state)]
        async for kept in read_readable(services, table.scan(environment.id, where=where)):
            if kept.item.migration_method.has_copy:
                copies[kept.item.id] = kept.item.copy.id

    async def turn_off_copy_if_found(job_id: str, known: WorkflowSummary | None) -> None:
        if known is not None:
            async with catch_row_errors(services, (table.name, environment.id, job_id)):
                await _turn_off_orphaned_copy(services, environment, job_id, known)

    return await check_flows_in_rotation(
        services, environment, DailyCheckTarget.WITHDRAWN, copies, turn_off_copy_if_found
    )


async def _turn_off_orphaned_copy(
    services: Services, environment: Environment, job_id: str, known: WorkflowSummary
) -> None:
    """Send an alert about an orphaned copy, and turn it off if its original is on."""
    kept = await services.tables.flow_jobs.get(environment.id, job_id)
    if kept is None or not kept.item.is_withdrawn or is_busy(services, kept.item):
        return
    job, is_on = kept.item, known.state is FlowState.ON
    if job.copy.is_kept_off and not is_on:
        return
    copy = await _read_copy(services, environment, job)
    is_on = copy is not None and copy.state is FlowState.ON
    if copy is None or (job.copy.is_kept_off and not is_on):
        return
    found = "was on" if is_on else "exists and is off. Nothing needs it, so it may be deleted"
    cause = (
        f"{copy.name} ({copy.workflow_id}) {found}. The job of {job.display_name} is {job.state}."
    )
    original = await find_original(services, environment, job) if is_on else None
    # If a person changed which flow is on, turning off the copy would leave both off.
    is_all_there_is = is_on and not (original and original.is_on)
    if is_all_there_is:
        cause += " Its original is not on, so the copy stays on."
    await send_alert(
        services, Reason.ORPHANED_COPY, services.tables.flow_jobs.get_row_name(job), cause
    )
    if not is_on or is_all_there_is:
        return
    async with lease_ended_job(FLOW, services, kept) as held:
        work = StepContext(held, environment)
        off = build_flow_write(work, copy, WorkflowUpdate(state=FlowState.OFF))
        await perform(replace(off, permit=partial(work.require_write_allowed, anytime=True)))


async def _read_copy(services: Services, environment: Environment, job: FlowJob) -> Workflow | None:
    with suppress(NotFound):
        return await services.workflows.get(environment, job.copy.id)
    return None


def is_busy(services: Services, job: FlowJob) -> bool:
    """Return whether the flow job has not ended, or an invocation has leased it."""
    return not FLOW.is_ended(job) or job.lease.is_held(services.now)


@asynccontextmanager
async def lease_ended_job[J: DurableJob[Any]](
    kind: JobKind[J], services: Services, kept: StoredItem[J]
) -> AsyncIterator[LeasedJob[J]]:
    """Lease an ended job for the block, which cleans up after it.

    A `CmkflowError` of the block is only logged; a later check tries again.
    """
    held = await kind.claim(services, kept)
    try:
        yield held
    except Exception as err:
        later = services.now + services.settings.backoff_max_delay
        await held.end(mark_write_in_flight(held.job, later))
        if not isinstance(err, CmkflowError):
            raise
        name = "/".join(kind.table(services.tables).get_address(held.job))
        log.warning("ended job %s is checked again later: %s", name, redact(str(err)))
    else:
        await held.end(held.job)
