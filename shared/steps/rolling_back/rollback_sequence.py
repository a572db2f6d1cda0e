"""Decide which of several dependent flows is rolled back first.

Originals are turned on from the called flows to the callers, and copies are turned off from the
callers to the called flows. If a job waits for a blocked one, it is blocked too and names it.
"""

from dataclasses import replace
from typing import NoReturn

from shared.domain.jobs.dependent_jobs import find_blocking_parent, format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked, MustWait
from shared.jobs.engine import UNTIL_WOKEN
from shared.ports import Condition
from shared.reason import Reason
from shared.steps.retiring.wait_for_job import wait_for_end_of_job
from shared.steps.step_context import StepContext


async def wait_for_children(work: StepContext) -> None:
    """Raise an error until the originals of this original's child flows are restored."""
    for child in await work.read_related_jobs(work.job.children):
        if not child.has_original_restored:
            _wait_for_child(work, child)


def _require_not_blocked(dependent: FlowJob, *, code: str) -> None:
    if dependent.needs_action and dependent.is_rolling_back:
        raise JobBlocked(
            (
                f"The rollback of {dependent.display_name}, which has to be first, is "
                f"{dependent.state}."
            ),
            fix=f"Fix the job of {dependent.display_name}. This job then continues.",
            code=code,
        )


def _wait_for_child(work: StepContext, child: FlowJob) -> NoReturn:
    _require_not_blocked(child, code=Reason.CHILD_FLOW_NOT_READY)
    if child.is_rolling_back or child.requested_command:
        raise MustWait(
            f"The original of {child.display_name} has to be restored first.",
            until=work.services.now + UNTIL_WOKEN,
            code=Reason.CHILD_FLOW_NOT_READY,
        )
    raise JobBlocked(
        f"It calls the original of {child.display_name}, which is not on.",
        fix=f"Roll {child.display_name} back too (or the whole remediation).",
        code=Reason.CHILD_FLOW_NOT_READY,
    )


async def wait_for_flows_called_by_url(work: StepContext, *, includes_call_loop: bool) -> None:
    """Raise an error until the originals that this one calls by URL are restored.

    Calls through a child count. `includes_call_loop`: also wait for flows in the same call loop. At
    first these are left out, because they would wait for one another.
    """
    job, found = work.job, {work.job.id}
    jobs = await _read_possible_callees(work)
    while more := {one.id for one in jobs if one.id not in found and found & set(one.parent_ids)}:
        found |= more
    call_loop = set() if includes_call_loop else (await work.read_ancestors()).keys()
    for called in jobs:
        if called.id in found - {job.id} - call_loop and not called.has_original_restored:
            await _record_as_child(work, called)
            _wait_for_child(work, called)


async def _record_as_child(work: StepContext, called: FlowJob) -> None:
    """Record the called flow as a child, so that the timer notices when its job ends."""
    name = format_job_reference(called, work.job.environment_id)
    if name not in work.job.children:
        await work.save(replace(work.job, children=(*work.job.children, name)))


async def _read_possible_callees(work: StepContext) -> list[FlowJob]:
    """Return the jobs of this environment, and of others with flows called from elsewhere."""
    job, table = work.job, work.services.tables.flow_jobs
    foreign = await table.read_all(where=[Condition("has_foreign_parents", "eq", "yes")])
    elsewhere = {one.environment_id for one in foreign} - {job.environment_id}
    here = [
        one for one in await table.read_all(job.environment_id) if one.policy_id == job.policy_id
    ]
    return here + [one for home in sorted(elsewhere) for one in await table.read_all(home)]


async def wait_for_parents(work: StepContext) -> None:
    """Raise an error until the copies of the parents, which call this copy, are off.

    Raises `MustWait` while the parent is rolled back too. Raises `JobBlocked` if it is not, or if
    its rollback is blocked.
    """
    parent = find_blocking_parent(
        work.job, await work.read_ancestors(), lambda parent: parent.state_properties.is_copy_off
    )
    if parent is None:
        return
    _require_not_blocked(parent, code=Reason.PARENT_FLOW_NOT_READY)
    if parent.is_rolling_back or parent.requested_command:
        await wait_for_end_of_job(
            work, parent, f"{parent.display_name} has to be rolled back first."
        )
    raise JobBlocked(
        f"The copy of {parent.display_name} calls this copy.",
        fix=f"Roll {parent.display_name} back too (or the whole remediation).",
        code=Reason.PARENT_FLOW_NOT_READY,
    )
