"""Run one step of an environment job: wait for the migration, discover, plan; then carry it out."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.domain.environment import Mode
from shared.domain.jobs.backoff import wait_after
from shared.domain.jobs.refusals import instruction_for
from shared.domain.plans.remediation import (
    EnvironmentJob,
    EnvironmentJobState,
    moved,
    postponed,
    stopped,
)
from shared.domain.plans.what_fits import fitting_findings, with_network
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    Blocked,
    Conflict,
    NotFound,
    Refused,
    Throttled,
    Transient,
    Waiting,
)
from shared.rows import Kept
from shared.services import Services
from shared.steps.gate import settings_of
from shared.steps.planning.discovery_parts import forget_discovery
from shared.steps.planning.make_plan import complete, network_findings
from shared.steps.planning.plan_environment import environment_of, plan_now
from shared.steps.planning.wait_for_migration import wait_for_migration
from shared.use_cases.carry_out_plan import await_approval, carry_out, compare, expire
from shared.use_cases.environment_job_rows import (
    claim_environment_job,
    save_environment_job,
    send_environment_job,
)
from shared.use_cases.run_flow_job import EARLY

log = logging.getLogger(__name__)

type Step = Callable[[Services, EnvironmentJob], Awaitable[EnvironmentJob]]


async def run_environment_job(services: Services, remediation_id: str, job_id: str) -> str:
    """Look at a job's row and do what is due. Returns the state it is in, for the log.

    Raises `NotFound` if there is no such row; any other exception is a defect of ours.
    """
    kept = await services.tables.environment_jobs.get(remediation_id, job_id)
    if kept is None:
        message = f"There is no environment job {job_id} in remediation {remediation_id}."
        raise NotFound(message)
    job = kept.item
    if job.is_finished:
        return job.state
    if job.lease_until and job.lease_until > services.now:
        await send_environment_job(services, job)
        return job.state
    if job.due and job.due > services.now + EARLY:
        await send_environment_job(services, job)
        return job.state
    try:
        kept = await claim_environment_job(services, kept)
        kept = await _step(services, kept)
    except Conflict:
        return "taken"
    await send_environment_job(services, kept.item)
    return kept.item.state


async def _step(services: Services, kept: Kept[EnvironmentJob]) -> Kept[EnvironmentJob]:
    before = kept.item
    try:
        job = await STEPS[before.state](services, before)
    except Exception as err:
        outcome = _outcome(services, before, err)
        if outcome is None:
            await save_environment_job(services, kept, replace(before, lease="", lease_until=None))
            raise
        job = outcome
    job = replace(job, lease="", lease_until=None, attempt=before.attempt + 1)
    done = await save_environment_job(services, kept, job)
    if done.item.woken and done.item.due:
        woken = replace(done.item, woken=False, due=services.now)
        done = await services.tables.environment_jobs.replace(done, woken)
    log.info(
        "environment job %s: %s -> %s",
        job.id,
        before.state,
        job.state,
        extra={"job": job.id, "environment": job.environment_id, "reason": job.reason},
    )
    return done


async def _discover(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    items, findings = await plan_now(services, job, await environment_of(services, job))
    stale = {item.workflow_id for item in await services.tables.plans.all(job.id)}
    stale -= {item.workflow_id for item in items}
    for workflow_id in stale:
        kept = await services.tables.plans.get(job.id, workflow_id)
        if kept:
            await services.tables.plans.delete(kept)
    await services.tables.plans.upsert(*items)
    job = replace(
        job,
        findings=fitting_findings(findings),
        counts=dict(Counter(str(item.action) for item in items)),
    )
    text = f"{len(items)} flows stay on Microsoft's key."
    return moved(job, EnvironmentJobState.PLANNED, text, now=services.now)


async def _complete_plan(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """Fill in callers and the network, flow by flow, so that a used-up budget loses nothing."""
    await forget_discovery(services, job.id)
    environment = await environment_of(services, job)
    items = []
    for item in await services.tables.plans.all(job.id):
        completed = await complete(services, environment, item)
        if completed != item:
            await services.tables.plans.upsert(completed)
        items.append(completed)
    job = with_network(job, await network_findings(services, environment, items))
    job = replace(
        job,
        planned_at=services.now,
        expires=services.now + services.settings.plan_expires,
    )
    work = [item for item in items if item.action.has_job]
    if not job.mode.writes:
        text = "The plan is made; nothing was written."
        return moved(job, EnvironmentJobState.FINISHED, text, now=services.now)
    if not work:
        text = "There is nothing to do."
        return moved(job, EnvironmentJobState.FINISHED, text, now=services.now)
    mode = (await settings_of(services, job.environment_id)).mode
    if mode is Mode.AUTO:
        text = "The environment is in mode auto: no approval is needed."
        job = replace(job, approved_by="mode auto")
        return moved(job, EnvironmentJobState.DISPATCHED, text, now=services.now)
    return await_approval(services, replace(job, awaiting=len(work)))


STEPS: dict[EnvironmentJobState, Step] = {
    EnvironmentJobState.WAITING_FOR_MIGRATION: wait_for_migration,
    EnvironmentJobState.DISCOVERING: _discover,
    EnvironmentJobState.PLANNED: _complete_plan,
    EnvironmentJobState.AWAITING_APPROVAL: expire,
    EnvironmentJobState.APPROVED: compare,
    EnvironmentJobState.DISPATCHED: carry_out,
}


def _outcome(services: Services, job: EnvironmentJob, err: Exception) -> EnvironmentJob | None:
    """Return the row after an expected error; None for a defect."""
    now, settings = services.now, services.settings
    blocked = EnvironmentJobState.BLOCKED
    reason = redact(str(err))  # the platform may repeat what it was sent
    match err:
        case Waiting():
            return postponed(job, err.reason, until=max(err.until, now), now=now)
        case Blocked():
            return stopped(job, blocked, err.reason, err.instruction, now=now)
        case Refused():
            return stopped(job, blocked, reason, instruction_for(err.code, err.detail), now=now)
        case NotFound():
            remedy = "See whether the environment is well, then retry."
            return stopped(job, blocked, reason, remedy, now=now)
        case Throttled():
            wait = err.retry_after or settings.backoff_first
            return postponed(job, reason, until=now + wait, now=now)
        case Transient() if job.failures < settings.backoff_tries:
            failures = job.failures + 1
            wait = wait_after(
                failures,
                first=settings.backoff_first,
                longest=settings.backoff_longest,
                asked=err.retry_after,
            )
            later = postponed(job, f"Tried again: {reason}", until=now + wait, now=now)
            return replace(later, failures=failures)
        case Transient():
            text = "See whether the service is well, then retry."
            return stopped(job, EnvironmentJobState.FAILED, reason, text, now=now)
        case _:
            return None
