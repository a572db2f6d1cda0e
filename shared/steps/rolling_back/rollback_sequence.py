"""Which relative goes first when a family is rolled back.

Originals come on bottom-up, copies go off top-down. Whoever is waited for and stands still itself
is for a person: then the one that waits says so.
"""

from dataclasses import replace
from typing import NoReturn

from shared.domain.jobs.dependent_jobs import blocking_parent, format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked, MustWait
from shared.jobs.engine import UNTIL_WOKEN
from shared.ports import Condition
from shared.reason import Reason
from shared.steps.retiring.wait_for_job import wait_for_end
from shared.steps.step_context import StepContext


async def wait_for_children(work: StepContext) -> None:
    """The original runs the originals of its children: they come on first."""
    for child in await work.related(work.job.children):
        if not child.has_original_restored:
            _wait_for(work, child)


def _check_not_stuck(relative: FlowJob, *, code: str) -> None:
    """A relative that a person has to help is not waited for; its end wakes who is blocked by it.

    Raises `JobBlocked` if its rollback stands still.
    """
    if relative.needs_action and relative.is_rolling_back:
        raise JobBlocked(
            f"The rollback of {relative.display_name}, which goes first, is {relative.state}.",
            instruction=f"Settle the job of {relative.display_name}; this one then goes on.",
            code=code,
        )


def _wait_for(work: StepContext, child: FlowJob) -> NoReturn:
    _check_not_stuck(child, code=Reason.CHILD_FLOW_NOT_READY)
    if child.is_rolling_back or child.requested:
        raise MustWait(
            f"The original of {child.display_name} comes back first.",
            until=work.services.now + UNTIL_WOKEN,
            code=Reason.CHILD_FLOW_NOT_READY,
        )
    raise JobBlocked(
        f"The original of {child.display_name}, which it calls, is not on.",
        instruction=f"Roll {child.display_name} back too (or the whole remediation).",
        code=Reason.CHILD_FLOW_NOT_READY,
    )


async def wait_for_called_by_url(work: StepContext, *, in_circle: bool) -> None:
    """What the original calls by URL, itself or by a child, has to be back before it is called.

    In a circle all of them come on (`in_circle` is false) before a caller of any goes back.
    """
    job, found = work.job, {work.job.id}
    jobs = await _jobs_of_callers(work)
    while more := {one.id for one in jobs if one.id not in found and found & set(one.parent_ids)}:
        found |= more
    circle = set() if in_circle else (await work.ancestors()).keys()
    for called in jobs:
        if called.id in found - {job.id} - circle and not called.has_original_restored:
            await _note_called(work, called)
            _wait_for(work, called)


async def _note_called(work: StepContext, called: FlowJob) -> None:
    """Keep what is waited for in the row, as a child: by it the timer sees when that has ended."""
    name = format_job_reference(called, work.job.environment_id)
    if name not in work.job.children:
        await work.save(replace(work.job, children=(*work.job.children, name)))


async def _jobs_of_callers(work: StepContext) -> list[FlowJob]:
    """Return the jobs of this environment, and of those with an original that is called from afar.

    Those are few or none, and found without reading every job of the tenant.
    """
    job, table = work.job, work.services.tables.flow_jobs
    abroad = await table.all(where=[Condition("has_foreign_parents", "eq", "yes")])
    elsewhere = {one.environment_id for one in abroad} - {job.environment_id}
    here = [one for one in await table.all(job.environment_id) if one.policy_id == job.policy_id]
    return here + [one for home in sorted(elsewhere) for one in await table.all(home)]


async def wait_for_parents(work: StepContext) -> None:
    """The copy of a parent calls this copy: it goes first."""
    parent = blocking_parent(work.job, await work.ancestors(), _calls_no_more)
    if parent is None:
        return
    _check_not_stuck(parent, code=Reason.PARENT_FLOW_NOT_READY)
    if parent.is_rolling_back or parent.requested:
        await wait_for_end(work, parent, f"{parent.display_name} is rolled back first.")
    raise JobBlocked(
        f"The copy of {parent.display_name} calls this copy.",
        instruction=f"Roll {parent.display_name} back too (or the whole remediation).",
        code=Reason.PARENT_FLOW_NOT_READY,
    )


def _calls_no_more(parent: FlowJob) -> bool:
    return parent.state_properties.is_copy_off
