"""Swap a self-starting flow: the original goes off before the copy comes on. Never both."""

from dataclasses import replace

from shared.domain.jobs.flow_job import CutoverFailure, FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import moved
from shared.errors import JobBlocked, MustWait
from shared.reason import Reason
from shared.steps.flows.original import read_original
from shared.steps.flows.read_original_facts import check_unchanged
from shared.steps.retiring.check_restart import check_could_start
from shared.steps.retiring.cutover_toggle import copy_of, exchange, original_of
from shared.steps.step_context import StepContext


async def begin(work: StepContext) -> FlowJob:
    """Note the intent to swap, unless the original was edited or turned off since it was copied."""
    original = await read_original(work)
    if not original.is_on and work.job.has_stopped_both:
        return _back_on(work)
    await check_unchanged(work, original)
    if not original.is_on:
        job = replace(work.job, pattern=MigrationMethod.OFF, original_was_on=False)
        text = "The original was turned off meanwhile: its copy stays off."
        return moved(job, FlowJobState.QUIET, text, now=work.services.now)
    await work.permit_write()
    copy = await work.services.workflows.get(work.environment, work.job.copy_id)
    await check_could_start(work, original, copy)
    text = "The original goes off, then the copy comes on."
    return moved(work.job, FlowJobState.SWAPPING, text, now=work.services.now)


def _back_on(work: StepContext) -> FlowJob:
    """Bring back what this job stopped: a read said wrongly that it was on again."""
    text = "The original is off, and it was this job that stopped it: it comes on again."
    now = work.services.now
    job = replace(work.job, neither_since=now, failure=CutoverFailure(reason=text))
    return moved(job, FlowJobState.SWAPPING, text, now=now)


async def swap(work: StepContext) -> FlowJob:
    """Turn the original off, the copy on; the original comes back on if the copy will not."""
    began = work.job.neither_since or work.services.now
    if not await exchange(work, off=original_of(work), on=copy_of(work)):
        return await _given_up(work)
    now = work.services.now
    job = replace(work.job, gap=now - began, cut_over_at=now)
    text = f"The copy is on. Neither flow was on for {now - began}."
    return moved(job, FlowJobState.WATCHED, text, now=now)


async def _given_up(work: StepContext) -> FlowJob:
    """Go back to where the swap begins; raises `JobBlocked` where a person has to do something."""
    failure = work.job.failure or CutoverFailure(reason="")
    text = f"The swap failed, and the original is on again: {failure.reason}"
    job = moved(replace(work.job, failure=None), FlowJobState.PROVEN, text, now=work.services.now)
    if not failure.code:
        return job
    await work.save(job)
    raise JobBlocked(failure.reason, instruction=failure.instruction, code=failure.code)


async def watched(work: StepContext) -> None:
    """Return when the copy has been on for the time it is watched; else raise `MustWait`."""
    began = work.job.cut_over_at or work.services.now
    until = began + work.services.settings.watch_period
    if until > work.services.now:
        raise MustWait(
            "The copy is watched before the original is retired.", until=until, code=Reason.WATCHED
        )
