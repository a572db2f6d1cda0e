"""Point every known caller at the copy. What each change was is noted before it is made."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial

from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state
from shared.errors import CmkflowError, ThrottledError
from shared.steps.flows.lease_resource import LeasedResource, lease_resource, require_unleased
from shared.steps.flows.plans_in_progress import PlansInProgress, open_plans
from shared.steps.flows.read_trigger_url import read_trigger_url
from shared.steps.flows.require_healthy_copy import find_copy, require_healthy_copy
from shared.steps.flows.temporary_co_ownership import revoke_all_grants
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.batch_caller_writes import (
    CallerWriteBatch,
    pending_write_for,
    wait_for_others,
)
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import holds_original, job_of_flow, record_callers
from shared.steps.updating_callers.write_callers import CallerWriter, write_callers
from shared.steps.write_permission import reject_excluded_flow


async def begin(work: StepContext) -> FlowJob:
    """Note every known caller, so that what is done to each can be undone."""
    job = work.job
    if job.pattern is MigrationMethod.COPY_OFF:
        text = "The original is off: its callers are listed, not changed."
        return move_to_state(job, FlowJobState.CHECKING_FOR_CALLS, text, now=work.services.now)
    records = await record_callers(work)
    text = f"{len(records)} callers are to be updated."
    return move_to_state(work.job, FlowJobState.UPDATING_CALLERS, text, now=work.services.now)


async def update(work: StepContext) -> FlowJob:
    """Write the new URL into every noted caller, one resource after the other."""
    urls: Mapping[str, str] | None = None
    plans, log = await open_plans(work.services), await CallerEditLog.open(work)
    for resource, records in _by_resource(await work.callers.all()).items():
        left = await _left(work, plans, records)
        if not left:
            continue
        is_shared = await wait_for_others(work, left[0].caller)
        if urls is None:
            await require_unleased(work, resource)
            await work.check_write_allowed()
            urls = await new_urls(work)
        own = CallerWriter(work=work, log=log, urls=urls, records=left)
        async with lease_resource(work, resource) as held, AsyncExitStack() as stack:
            gathering = CallerWriteBatch(work, resource, stack)
            others = await _others(work, gathering, plans, held) if is_shared else []
            written = [one.work for one in await write_callers(held, own, others)]
            if is_shared:
                moves = (
                    pending_write_for(one.job, resource, is_done=True) for one in (work, *written)
                )
                await work.services.tables.pending_caller_writes.upsert(*moves)
            for other in written:
                gathering.go_on(other)
                with suppress(CmkflowError):  # its own delivery returns what is left
                    await revoke_all_grants(other)
        await work.held.record_progress()
    return await _updated(work)


async def _others(
    work: StepContext, gathering: CallerWriteBatch, plans: PlansInProgress, resource: LeasedResource
) -> list[CallerWriter]:
    """Return what other jobs have to write there, as far as time and calls for their URLs reach.

    After a delivery that died each goes on by itself, so that one of them takes nobody along.
    """
    found: list[CallerWriter] = []
    if work.job.consecutive_crashes > 1:
        return found
    until = work.services.now + work.services.settings.invocation_time_limit
    async for other in gathering.each():
        try:
            found.append(await _mover(other, plans, resource.name))
        except ThrottledError:
            break
        except CmkflowError:
            continue  # its own delivery finds what it is
        await resource.permit()
        if work.services.now >= until:
            break
    return found


async def _mover(work: StepContext, plans: PlansInProgress, resource: str) -> CallerWriter:
    records = _by_resource(await work.callers.all()).get(resource, [])
    left = await _left(work, plans, records)
    urls = await new_urls(work) if left else {}
    return CallerWriter(work=work, log=await CallerEditLog.open(work), urls=urls, records=left)


async def _left(
    work: StepContext, plans: PlansInProgress, records: Sequence[CallerRecord]
) -> list[CallerRecord]:
    """Return the callers that are to be written; raises `Waiting`, `JobBlocked`."""
    if records:
        reject_excluded_flow(await work.read_settings(), work.job)
    left = []
    for record in records:
        await plans.wait_for(record.caller)
        if not await _is_copied_by_now(work, record):
            left.append(record)
    return left


def _by_resource(records: Iterable[CallerRecord]) -> dict[str, list[CallerRecord]]:
    """Return the callers that are still to be written."""
    found: defaultdict[str, list[CallerRecord]] = defaultdict(list)
    for record in records:
        if record.state in {CallerState.FOUND, CallerState.WRITING}:
            found[record.caller.resource_id].append(record)
    return found


async def _updated(work: StepContext) -> FlowJob:
    services, stale, by_hand = work.services, timedelta(0), []
    for record in await work.callers.all():
        if record.state is CallerState.UPDATED:
            stale = max(stale, services.callers[record.caller.kind].old_value_lifetime)
        if record.state is CallerState.MANUAL:
            by_hand.append(f"For a person: {record.caller.label}.")
    job = replace(
        work.job,
        observation_started_at=services.now,
        no_call_period=stale or None,
        drained_callers=(),
        notes=tuple(dict.fromkeys((*work.job.notes, *by_hand))),
    )
    updated = "Every known caller holds the new URL; now the original has to fall quiet."
    if by_hand:
        updated = f"{len(by_hand)} callers are for a person; every other one holds the new URL."
    return move_to_state(job, FlowJobState.CHECKING_FOR_CALLS, updated, now=services.now)


async def _is_copied_by_now(work: StepContext, record: CallerRecord) -> bool:
    """Leave a caller alone whose own job has begun since it was noted: that writes its copy.

    Says whether it was left. A copy that is proven is written like any other caller.
    """
    other = await job_of_flow(work, record.caller)
    if other is None or other.id == work.job.id:
        return False
    if record.caller.workflow_id == other.copy_id and other.is_verified:
        return False
    if not await holds_original(work.services, work.job, record.caller):
        return False
    name = format_job_reference(other, work.job.environment_id)
    await work.save(replace(work.job, parents=tuple(sorted({*work.job.parents, name}))))
    await work.callers.upsert(replace(record, state=CallerState.NOT_NEEDED))
    return True


async def new_urls(work: StepContext) -> dict[str, str]:
    """Return the copy's trigger URL by the id in the original's; empty where there is none.

    Raises `JobBlocked` if the copy does not stand: no caller may be pointed at it.
    """
    require_healthy_copy(work, await work.cached("copy", partial(find_copy, work)))
    job = work.job
    if not job.original_url_id:
        return {}
    url = await read_trigger_url(work, job.copy_flow_name, job.trigger_name)
    return {job.original_url_id: url}
