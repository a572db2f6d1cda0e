"""What a delivery that did not end has done after its job ended, or was stopped.

A rollback waits such a delivery out, and every step that comes after it looks for its loans. For a
job that is retired, blocked or failed no step comes; and where a delivery was frozen for longer
than the host should let it be, nobody waits any more.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from shared.alerts import one_row, readable, tell
from shared.domain.daily_look import Look
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, Workflow, WorkflowSummary, WorkflowUpdate
from shared.domain.jobs.durable_job import DurableJob, mark_write_in_flight
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, JobBlocked, NotFound, PlatformError
from shared.jobs.engine import JobKind
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.jobs.leased_job import LeasedJob
from shared.log_fields import product_log
from shared.ports import Condition
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.flows.effect import perform
from shared.steps.flows.original import find_original
from shared.steps.flows.temporary_co_ownership import (
    check_returned,
    is_still_co_owner,
    not_returned,
    revoke_all_grants,
    take_back,
)
from shared.steps.flows.update_workflow import changing
from shared.steps.rolling_back.final_check import wait_and_revoke
from shared.steps.step_context import WRITE_TAKES, StepContext
from shared.steps.write_permission import check_write_allowed
from shared.use_cases.look_in_turn import look_in_turn

log = product_log(__name__)


async def revoke_leftover_grants(
    services: Services,
    plans: Sequence[StoredItem[EnvironmentJob]],
    flows: Sequence[StoredItem[FlowJob]],
) -> None:
    """Take back what those of these jobs that stand still have lent the operator.

    Each flow is looked at once more when nothing can come of a frozen delivery any more.
    """
    async with services.request_budget.reserve(None):
        await _return_loans_of_plans(services, plans)
        await _return_loans_of_flows(services, flows)


async def _return_loans_of_flows(services: Services, flows: Sequence[StoredItem[FlowJob]]) -> None:
    table = services.tables.flow_jobs
    for kept in flows:
        job = kept.item
        if (
            not job.has_loans_to_check
            or is_busy(services, job)
            or job.has_write_in_flight(services.now)
        ):
            continue
        async with one_row(services, table.name_of(job)), held_ended(FLOW, services, kept) as held:
            work = StepContext(held, await services.environments.get(job.environment_id))
            try:
                await wait_and_revoke(work)
                await revoke_all_grants(work)
                await check_returned(work)
            except (
                JobBlocked,
                PlatformError,
            ) as err:  # the operator stays a co-owner: not for the log only
                await tell(services, Reason.GRANT_NOT_REVOKED, table.name_of(job), redact(str(err)))
                raise


async def _return_loans_of_plans(
    services: Services, plans: Sequence[StoredItem[EnvironmentJob]]
) -> None:
    """The same for jobs that made a plan, and lent a flow to read its definition."""
    table = services.tables.environment_jobs
    for kept in plans:
        job = kept.item
        rests = job.has_stopped_planning and not job.is_leased(services.now)
        if not job.has_loans_to_check or not rests or job.has_write_in_flight(services.now):
            continue
        async with (
            one_row(services, table.name_of(job)),
            held_ended(ENVIRONMENT, services, kept) as held,
        ):
            try:
                await _return_loans_of_plan(held)
            except (JobBlocked, PlatformError) as err:
                await tell(services, Reason.GRANT_NOT_REVOKED, table.name_of(job), redact(str(err)))
                raise


async def _return_loans_of_plan(held: LeasedJob[EnvironmentJob]) -> None:
    """Take back what it lent, and again what is not gone although the platform accepted it."""
    services, job, kept = held.services, held.job, list[str]()
    at, now = job.returned_at, services.now
    is_checked = at is not None and now >= at + services.settings.read_lag
    if is_checked:
        kept = [
            name
            for name in job.returned
            if await is_still_co_owner(services, job.environment_id, name)
        ]
    loans = (*job.active_grants, *job.past_grants) if job.has_grants else ()
    flows = dict.fromkeys((*loans, *kept))
    for flow_name in flows:
        await take_back_of_plan(held, flow_name)
    if kept:
        row = services.tables.environment_jobs.name_of(job)
        await tell(services, Reason.GRANT_NOT_REVOKED, row, not_returned(kept))
    returned = tuple(flows) if is_checked else tuple(dict.fromkeys((*job.returned, *flows)))
    at = now if flows else None if is_checked else at
    job = replace(
        held.job, active_grants=(), in_flight_until=None, returned=returned, returned_at=at
    )
    await held.save(job)


async def take_back_of_plan(held: LeasedJob[EnvironmentJob], flow_name: str) -> None:
    """Take the operator off a flow which a plan lent."""
    services, home = held.services, held.job.environment_id

    async def permit() -> None:
        await check_write_allowed(services, home, anytime=True)
        await held.require_lease(WRITE_TAKES)

    await take_back(services, (home, flow_name), permit)


async def turn_off_orphaned_copies(services: Services, environment: Environment) -> int:
    """Turn off copies that no job wants, and tell of them: also of one that came after the end.

    Returns how many were not looked at. Raises `TransientError` where the platform takes no write.
    """
    table, copies = services.tables.flow_jobs, dict[str, str]()
    if environment.dataverse_url is None:
        return 0
    for state in (state for state, facts in FLOW_STATES.items() if facts.is_withdrawn):
        where = [Condition("state", "eq", state)]
        async for kept in readable(services, table.scan(environment.id, where=where)):
            if kept.item.pattern.has_copy:
                copies[kept.item.id] = kept.item.copy_id

    async def seen(job_id: str, known: WorkflowSummary | None) -> None:
        if known is not None:
            async with one_row(services, (table.name, environment.id, job_id)):
                await _turn_off_stray(services, environment, job_id, known)

    return await look_in_turn(services, environment, Look.WITHDRAWN, copies, seen)


async def _turn_off_stray(
    services: Services, environment: Environment, job_id: str, known: WorkflowSummary
) -> None:
    """Act on a copy that stands; what the list showed of it may be old."""
    kept = await services.tables.flow_jobs.get(environment.id, job_id)
    if kept is None or not kept.item.is_withdrawn or is_busy(services, kept.item):
        return
    job, is_on = kept.item, known.state is FlowState.ON
    if job.copy_kept_off and not is_on:
        return
    copy = await _copy(services, environment, job)
    is_on = copy is not None and copy.state is FlowState.ON
    if copy is None or (job.copy_kept_off and not is_on):
        return
    found = "was on" if is_on else "lies there, off: nothing needs it, it may be deleted"
    cause = f"{copy.name} ({copy.workflow_id}) {found}. The job of {job.display_name}: {job.state}."
    original = await find_original(services, environment, job) if is_on else None
    # Whoever turned the one off and the other on wants that: never neither.
    is_all_there_is = is_on and not (original and original.is_on)
    if is_all_there_is:
        cause += " Its original is not on: the copy is left on."
    await tell(services, Reason.ORPHANED_COPY, services.tables.flow_jobs.name_of(job), cause)
    if not is_on or is_all_there_is:
        return
    async with held_ended(FLOW, services, kept) as held:
        work = StepContext(held, environment)
        off = changing(work, copy, WorkflowUpdate(state=FlowState.OFF))
        await perform(replace(off, permit=partial(work.check_write_allowed, anytime=True)))


async def _copy(services: Services, environment: Environment, job: FlowJob) -> Workflow | None:
    with suppress(NotFound):
        return await services.workflows.get(environment, job.copy_id)
    return None


def is_busy(services: Services, job: FlowJob) -> bool:
    """Say whether a delivery works on it, or is to."""
    return not FLOW.is_ended(job) or job.is_leased(services.now)


@asynccontextmanager
async def held_ended[J: DurableJob[Any]](
    kind: JobKind[J], services: Services, kept: StoredItem[J]
) -> AsyncIterator[LeasedJob[J]]:
    """Hold a job that stands still; what cannot be done is logged, and tried again later."""
    held = await kind.claim(services, kept)
    try:
        yield held
    except Exception as err:
        later = services.now + services.settings.backoff_max_delay
        await held.end(mark_write_in_flight(held.job, later))
        if not isinstance(err, CmkflowError):
            raise
        name = "/".join(kind.table(services.tables).address(held.job))
        log.warning("the ended job %s is looked at later: %s", name, redact(str(err)))
    else:
        await held.end(held.job)
