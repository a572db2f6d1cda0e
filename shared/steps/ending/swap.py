"""Swap a self-starting flow: the original goes off before the copy comes on. Never both."""

import contextlib
from dataclasses import replace

from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.job import FlowJob, Pattern
from shared.domain.jobs.transitions import moved
from shared.errors import NotFound, Permanent, Waiting
from shared.reason import Reason
from shared.steps.copying.change_copy import turn_copy
from shared.steps.flows.original import read_original, turn_original
from shared.steps.flows.take_original import check_unchanged
from shared.steps.work import Work


async def begin(work: Work) -> FlowJob:
    """Note the intent to swap, unless the original was edited or turned off since it was copied."""
    original = await read_original(work)
    await check_unchanged(work, original)
    if not original.is_on:
        job = replace(work.job, pattern=Pattern.OFF, original_was_on=False)
        text = "The original was turned off meanwhile: its copy stays off."
        return moved(job, JobState.QUIET, text, now=work.services.now)
    await work.permit_write()
    text = "The original goes off, then the copy comes on."
    return moved(work.job, JobState.SWAPPING, text, now=work.services.now)


async def swap(work: Work) -> FlowJob:
    """Turn the original off, the copy on; the original comes back on if the copy will not."""
    services = work.services
    await work.permit_write()
    stopped = work.job.gap_began or services.now
    await work.save(replace(work.job, gap_began=stopped))
    try:
        row = await services.workflows.get(work.environment, work.job.copy_id)
        await turn_original(work, on=False)
        await turn_copy(work, row, FlowState.ON)
    except (Permanent, NotFound):
        await _bring_original_back(work)
        raise
    gap = services.now - stopped
    job = replace(work.job, gap=gap, cut_over_at=services.now)
    text = f"The copy is on. Neither flow was on for {gap}."
    return moved(job, JobState.WATCHED, text, now=services.now)


async def _bring_original_back(work: Work) -> None:
    """Turn the original on; the copy may be on although it was refused, and goes off first."""
    workflows = work.services.workflows
    with contextlib.suppress(NotFound):
        row = await workflows.get(work.environment, work.job.copy_id)
        await turn_copy(work, row, FlowState.OFF)
    await turn_original(work, on=True)
    await work.save(replace(work.job, gap_began=None))


async def watched(work: Work) -> None:
    """Return when the copy has been on for the time it is watched; else raise `Waiting`."""
    began = work.job.cut_over_at or work.services.now
    until = began + work.services.settings.watch_period
    if until > work.services.now:
        raise Waiting(
            "The copy is watched before the original is retired.", until=until, code=Reason.WATCHED
        )
