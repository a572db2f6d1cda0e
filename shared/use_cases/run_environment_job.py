"""Run one step of an environment job: wait for the migration, discover, plan, compare, dispatch."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.domain.backoff import wait_after
from shared.domain.environment import Environment, Mode
from shared.domain.refusals import instruction_for
from shared.domain.remediation import (
    EnvironmentJob,
    EnvironmentJobState,
    PlanItem,
    RemediationMode,
    moved,
    postponed,
    stopped,
)
from shared.domain.trigger_url import redact
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
from shared.steps.compare_plan import hold_what_changed, leave_unapproved
from shared.steps.discover_flows import discover, has_migrated
from shared.steps.discovery_parts import forget_discovery
from shared.steps.dispatch import announce, dispatch, open_jobs, planned_work
from shared.steps.find_callers import SearchRequest, find_callers
from shared.steps.gate import settings_of
from shared.steps.make_plan import complete, make_plan, network_findings
from shared.steps.work import UNTIL_WOKEN
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


async def _wait_for_migration(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """`Linked` is not the end: the two reports have to agree (design §2.4)."""
    environment = await _environment(services, job)
    link = environment.policy
    job = replace(
        job,
        environment_name=environment.display_name,
        policy_id=link.policy_id.lower() if link else "",
    )
    if job.mode is RemediationMode.PREPARE and link is not None:
        raise Blocked(
            f"{environment.display_name} is linked to an encryption policy: it is too late to "
            "prepare it.",
            instruction="Start a remediation in mode apply: what stays is copied.",
            code="linked",
        )
    if job.mode is RemediationMode.APPLY:
        if link is None:
            raise Blocked(
                f"{environment.display_name} is not linked to an encryption policy.",
                instruction="Link it to a policy first; until then only assess, dry-run or prepare "
                "it.",
                code="not_linked",
            )
        until = services.now + services.settings.migration_poll
        if not environment.is_linked:
            return postponed(job, f"The policy is {link.status}.", until=until, now=services.now)
        if not await has_migrated(services, environment.id):
            text = "The environment's flows are still being moved under the key."
            return postponed(job, text, until=until, now=services.now)
    text = _STARTS.get(job.mode, "Read only.")
    return moved(job, EnvironmentJobState.DISCOVERING, text, now=services.now)


_STARTS = {
    RemediationMode.APPLY: "The migration is over.",
    RemediationMode.PREPARE: "No key is applied yet.",
}


async def _discover(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    items, findings = await _plan_now(services, job, await _environment(services, job))
    stale = {item.workflow_id for item in await services.tables.plans.all(job.id)}
    stale -= {item.workflow_id for item in items}
    for workflow_id in stale:
        kept = await services.tables.plans.get(job.id, workflow_id)
        if kept:
            await services.tables.plans.delete(kept)
    await services.tables.plans.upsert(*items)
    job = replace(job, findings=findings, counts=dict(Counter(str(item.action) for item in items)))
    text = f"{len(items)} flows stay on Microsoft's key."
    return moved(job, EnvironmentJobState.PLANNED, text, now=services.now)


async def _plan_now(
    services: Services, job: EnvironmentJob, environment: Environment, *, is_limited: bool = True
) -> tuple[list[PlanItem], tuple[str, ...]]:
    """Discover, search for callers and plan. Returns the items and the findings."""
    # Once is enough: what an approval is compared with is the report and Dataverse.
    reconcile = job.reconcile and job.state is EnvironmentJobState.DISCOVERING
    found = await discover(services, environment, job.id, reconcile=reconcile)
    request = SearchRequest(
        environment_job_id=job.id,
        environment=environment,
        everywhere=await services.environments.list(),
    )
    not_searched = await find_callers(services, request)
    items, findings = await make_plan(services, job, found, is_limited=is_limited)
    return items, (*findings, *not_searched)


async def _complete_plan(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """Fill in callers and the network, flow by flow, so that a used-up budget loses nothing."""
    await forget_discovery(services, job.id)
    environment = await _environment(services, job)
    items = []
    for item in await services.tables.plans.all(job.id):
        completed = await complete(services, environment, item)
        if completed != item:
            await services.tables.plans.upsert(completed)
        items.append(completed)
    job = replace(
        job,
        network=await network_findings(services, environment, items),
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
    return _awaiting(services, replace(job, awaiting=len(work)))


def _awaiting(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    until = f" until {job.expires:%Y-%m-%d %H:%M} UTC" if job.expires else ""
    text = f"{job.awaiting} flows wait for approval{until}."
    job = moved(job, EnvironmentJobState.AWAITING_APPROVAL, text, now=services.now)
    return replace(job, due=job.expires)


async def _expire(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    if job.expires and job.expires > services.now:
        return replace(job, due=job.expires)
    text = "Nobody approved the plan before it expired."
    return moved(job, EnvironmentJobState.CANCELLED, text, now=services.now)


async def _compare(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    """Days may have passed since the plan was made: only what is as it was approved goes on."""
    environment = await _environment(services, job)
    now = await _plan_now(services, job, environment, is_limited=False)
    job = await hold_what_changed(services, job, environment, now)
    await forget_discovery(services, job.id)
    goes = await planned_work(services, job)
    if job.awaiting and not goes and not await open_jobs(services, job):
        return _awaiting(services, job)
    text = f"{len(goes)} flows are as they were approved"
    text += f", {job.awaiting} have changed and wait for approval." if job.awaiting else "."
    job = moved(job, EnvironmentJobState.DISPATCHED, text, now=services.now)
    return replace(job, is_dispatched=False)


async def _dispatch(services: Services, job: EnvironmentJob) -> EnvironmentJob:
    if not job.is_dispatched:
        count = await dispatch(services, job)
        job = replace(job, is_dispatched=True)
        text = f"{count} flow jobs are on their way."
        return moved(job, EnvironmentJobState.DISPATCHED, text, now=services.now)
    if job.awaiting and job.expires and job.expires <= services.now:
        job = await leave_unapproved(services, job)
    left = await open_jobs(services, job)
    await announce(services, left)
    until = services.now + UNTIL_WOKEN
    if job.awaiting and job.expires:
        text = f"Waiting for approval since they changed: {job.awaiting}. Going on: {len(left)}."
        return postponed(job, text, until=min(until, job.expires), now=services.now)
    if left:
        return postponed(job, f"{len(left)} flow jobs go on.", until=until, now=services.now)
    text = "Every flow job has ended."
    return moved(job, EnvironmentJobState.FINISHED, text, now=services.now)


STEPS: dict[EnvironmentJobState, Step] = {
    EnvironmentJobState.WAITING_FOR_MIGRATION: _wait_for_migration,
    EnvironmentJobState.DISCOVERING: _discover,
    EnvironmentJobState.PLANNED: _complete_plan,
    EnvironmentJobState.AWAITING_APPROVAL: _expire,
    EnvironmentJobState.APPROVED: _compare,
    EnvironmentJobState.DISPATCHED: _dispatch,
}


async def _environment(services: Services, job: EnvironmentJob) -> Environment:
    try:
        return await services.environments.get(job.environment_id)
    except NotFound as err:
        raise Blocked(
            f"There is no environment {job.environment_id}.",
            instruction="Check the id; the app may also lack the right to see it.",
            code="environment",
        ) from err


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
