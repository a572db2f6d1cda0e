"""Retire an original: off, out of the way by name, its copy in its place."""

from dataclasses import replace

from shared.domain.definition_comparison import definition_digest
from shared.domain.job import FlowJob, JobState, Pattern, moved
from shared.errors import Blocked
from shared.steps.original import read_original, rename, turn_original
from shared.steps.watch_quiet import watch
from shared.steps.work import Work

#: What a retired original is called from then on.
RETIRED_SUFFIX = " (retired, MMK)"


async def retire_when_quiet(work: Work) -> FlowJob:
    """Retire a called original once it is quiet and still reads as it was copied."""
    await watch(work)
    return await retire(work)


async def retire(work: Work) -> FlowJob:
    """Turn the original off and let the copy take its name."""
    original = await read_original(work)
    drifted = definition_digest(original.client_data) != work.job.original_digest
    if drifted and work.job.pattern is not Pattern.SWAP:
        if work.services.settings.on_drift == "copy_again":
            text = "The original was edited after it was copied: it is copied again."
            job = replace(work.job, original_digest="")
            return moved(job, JobState.COPYING, text, now=work.services.now)
        raise Blocked(
            f"{work.job.display_name} was edited after it was copied.",
            instruction="Compare it with the archived definition "
            f"({work.job.archive}); retry the job to copy it again as it is now.",
            code="changed",
        )
    await turn_original(work, on=False)
    title = work.job.display_name
    if work.job.in_solution and original.etag and not original.is_managed:
        await rename(work, work.job.original_id, title + RETIRED_SUFFIX)
    await rename(work, work.job.copy_id, title)
    text = "The original is off and the copy has its name."
    return moved(work.job, JobState.RETIRED, text, now=work.services.now)
