"""Run one step of a flow job: the place where an error decides what becomes of a message.

Any delivery of an open row sends the row's next message before it is completed, so a message may
be lost, doubled or late without harm; the timer that re-sends overdue rows covers the rest.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from shared.domain.environment import Environment
from shared.domain.jobs.backoff import spread, wait_after
from shared.domain.jobs.job import UNTOUCHED, FlowJob, JobState, Order, Pattern
from shared.domain.jobs.refusals import instruction_for
from shared.domain.jobs.relatives import located
from shared.domain.jobs.transitions import moved, postponed, stopped
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    Blocked,
    Conflict,
    MigrationInProgress,
    NotFound,
    ProductError,
    Refused,
    Throttled,
    Transient,
    Waiting,
)
from shared.rows import Kept
from shared.services import Services
from shared.steps.copying import copy_flow, prove_copy
from shared.steps.copying.explain_refusal import explain
from shared.steps.ending import retire_original, roll_back, swap
from shared.steps.flows.trigger_address import return_borrowed
from shared.steps.gate import environment_without_key, linked_environment
from shared.steps.moving_callers import update_callers
from shared.steps.preparing import prepare_original
from shared.steps.work import Work, claim, save, send, wake
from shared.use_cases.environment_job_rows import wake_environment_job

log = logging.getLogger(__name__)

type Step = Callable[[Work], Awaitable[FlowJob]]

#: A message may come this much early: clocks differ.
EARLY = timedelta(seconds=1)


async def _begin(work: Work) -> FlowJob:
    has_copy = work.job.pattern.has_copy
    return await (copy_flow.begin(work) if has_copy else prepare_original.begin(work))


async def _after_proof(work: Work) -> FlowJob:
    is_swap = work.job.pattern is Pattern.SWAP
    return await (swap.begin(work) if is_swap else update_callers.begin(work))


async def _undo(work: Work) -> FlowJob:
    has_copy = work.job.pattern.has_copy
    return await (roll_back.roll_back(work) if has_copy else prepare_original.undo(work))


async def _after_watch(work: Work) -> FlowJob:
    await swap.watched(work)
    return await retire_original.retire(work)


STEPS: dict[JobState, Step] = {
    JobState.PLANNED: _begin,
    JobState.PREPARING: prepare_original.prepare,
    JobState.COPYING: copy_flow.copy,
    JobState.COPIED: prove_copy.prove,
    JobState.PROVEN: _after_proof,
    JobState.UPDATING_CALLERS: update_callers.update,
    JobState.QUIET: retire_original.retire_when_quiet,
    JobState.SWAPPING: swap.swap,
    JobState.WATCHED: _after_watch,
    JobState.ROLLING_BACK: _undo,
}


async def run_flow_job(services: Services, environment_id: str, job_id: str) -> str:
    """Look at a job's row and do what is due. Returns the state it is in, for the log.

    Raises `NotFound` if there is no such row; any other exception is a defect of ours.
    """
    kept = await services.tables.jobs.get(environment_id, job_id)
    if kept is None:
        message = f"There is no flow job {job_id} in environment {environment_id}."
        raise NotFound(message)
    job = kept.item
    if job.is_finished and job.requested is None:
        return job.state
    if job.lease_until and job.lease_until > services.now:
        await send(services, job)
        return job.state
    if job.due and job.due > services.now + EARLY:
        await send(services, job)
        return job.state
    try:
        kept = await claim(services, kept)
    except Conflict:
        return "taken"
    try:
        kept = await _step(services, kept)
    except Conflict:
        return "taken"
    await send(services, kept.item)
    await _tell_others(services, job, kept.item)
    return kept.item.state


async def _step(services: Services, kept: Kept[FlowJob]) -> Kept[FlowJob]:
    """Do one step and write its outcome; the lease ends with it."""
    before = kept.item
    job = _obey(before, services)
    work: Work | None = None
    try:
        if not job.is_finished:
            environment = await _environment_of(services, job)
            work = Work(services, kept, environment)
            if job != before:
                job = await work.save(job)
            job = await STEPS[job.reached](work)
            await return_borrowed(work)
            job = replace(job, borrowed=work.job.borrowed)
    except Exception as err:
        err = await _step_back(work, err)
        now = work.job if work else job
        outcome = _outcome(services, now, err)
        if outcome is None:
            await _let_go(services, work.kept if work else kept)
            raise
        job = outcome
    held = work.kept if work else kept
    job = replace(
        job,
        lease="",
        lease_until=None,
        attempt=before.attempt + 1,
        requested=None
        if job.state in {JobState.CANCELLED, JobState.ROLLED_BACK}
        else held.item.requested,
    )
    done = await save(services, held, job)
    if done.item.woken and (done.item.due or done.item.requested):
        woken = replace(done.item, woken=False, due=services.now)
        done = await services.tables.jobs.replace(done, woken)
    log.info(
        "flow job %s: %s -> %s",
        job.id,
        before.state,
        job.state,
        extra={"job": job.id, "environment": job.environment_id, "reason": job.reason},
    )
    return done


async def _environment_of(services: Services, job: FlowJob) -> Environment:
    if job.policy_id:
        return await linked_environment(services, job.environment_id, job.policy_id)
    undone = job.reached is JobState.ROLLING_BACK
    return await environment_without_key(services, job.environment_id, even_linked=undone)


async def _step_back(work: Work | None, err: Exception) -> Exception:
    """Return what was borrowed before a job stands still; a service that is busy says when."""
    if work is None or isinstance(err, Transient | Conflict) or not isinstance(err, ProductError):
        return err
    if isinstance(err, Refused | NotFound) and not isinstance(err, MigrationInProgress):
        err = await explain(work, err)
    try:
        await return_borrowed(work)
    except (Waiting, Blocked, Refused):
        return err  # nothing may be written now: the delivery that goes on returns it
    except Transient as busy:
        return busy
    return err


def _obey(job: FlowJob, services: Services) -> FlowJob:
    """Turn an administrator's order into the state that carries it out."""
    if job.requested is None or job.reached is JobState.ROLLING_BACK:
        return replace(job, state=job.reached, resume=None, reason="", instruction="", code="")
    if job.reached in UNTOUCHED:
        return moved(job, JobState.CANCELLED, "Cancelled before it began.", now=services.now)
    text = (
        "Rolled back by order." if job.requested is Order.ROLL_BACK else "Cancelled: rolled back."
    )
    return moved(job, JobState.ROLLING_BACK, text, now=services.now)


def _outcome(services: Services, job: FlowJob, err: Exception) -> FlowJob | None:
    """Return the row after an expected error; None for a defect."""
    now, settings = services.now, services.settings
    text = redact(str(err))  # the platform may repeat what it was sent
    match err:
        case Conflict() if not job.lease:
            return None
        case Waiting():
            return postponed(job, err.reason, until=max(err.until, now), now=now, code=err.code)
        case MigrationInProgress():
            until = now + settings.migration_poll
            return postponed(job, "The environment is being migrated.", until=until, now=now)
        case Blocked():
            return stopped(
                job, JobState.BLOCKED, err.reason, err.instruction, code=err.code, now=now
            )
        case Refused():  # before the work began: of the environment, not of the flow
            remedy = instruction_for(err.code, err.detail)
            return stopped(job, JobState.BLOCKED, text, remedy, code=err.code, now=now)
        case Throttled():
            wait = spread(err.retry_after or settings.backoff_first, f"{job.id}/{job.attempt}")
            return postponed(job, text, until=now + wait, now=now)
        case Transient() | Conflict():
            return _try_again(services, job, err)
        case _:
            return None


def _try_again(services: Services, job: FlowJob, err: Exception) -> FlowJob:
    now, settings, reason = services.now, services.settings, redact(str(err))
    failures = job.failures + 1
    if failures <= settings.backoff_tries:
        asked = err.retry_after if isinstance(err, Transient) else None
        wait = wait_after(
            failures, first=settings.backoff_first, longest=settings.backoff_longest, asked=asked
        )
        later = postponed(job, f"Tried again: {reason}", until=now + wait, now=now)
        return replace(later, failures=failures)
    if job.reached is JobState.SWAPPING:
        # Neither flow may be on: the original has to come back.
        return moved(job, JobState.ROLLING_BACK, f"The swap failed: {reason}", now=now)
    text = "See whether the service is well, then retry."
    return stopped(job, JobState.FAILED, reason, text, code="transient", now=now)


async def _let_go(services: Services, kept: Kept[FlowJob]) -> None:
    """Give the row up at once, so that the broker's redelivery is the retry of a defect."""
    await save(services, kept, replace(kept.item, lease="", lease_until=None))


async def _tell_others(services: Services, before: FlowJob, after: FlowJob) -> None:
    """Wake the jobs that may have waited for this one."""
    if after.has_original_back and not before.has_original_back:
        for parent in after.parents:
            await wake(services, *located(parent, after.environment_id), code="child")
    if after.state is before.state:
        return
    # A job that is stuck is told of too: whoever waits for it has to say so instead of waiting on.
    is_proven = after.state is JobState.PROVEN
    if is_proven or (after.is_finished and not after.is_proven):
        for parent in after.parents:
            place = located(parent, after.environment_id)
            await wake(services, *place, code="child", even_blocked=is_proven)
    if after.is_finished:
        has_ended = after.state not in {JobState.BLOCKED, JobState.FAILED}
        for child in after.children:
            place = located(child, after.environment_id)
            await wake(services, *place, code="parent", even_blocked=has_ended)
        await wake_environment_job(services, after.environment_job_id, after.remediation_id)
