"""Write the copy's URL into every known caller. Each edit is recorded before it is made."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial

from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod, Observation
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import add_notes, move_to_state
from shared.domain.plans.pending_actions import format_count
from shared.errors import CmkflowError, ThrottledError
from shared.steps.flows.lease_resource import (
    LeasedResource,
    lease_resource,
    require_unleased_resource,
)
from shared.steps.flows.plans_in_progress import PlansInProgress, read_plans_in_progress
from shared.steps.flows.read_trigger_url import read_trigger_url
from shared.steps.flows.require_healthy_copy import find_copy, require_healthy_copy
from shared.steps.flows.temporary_co_ownership import revoke_all_grants
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.batch_caller_writes import (
    CallerWriteBatch,
    build_pending_write,
    wait_for_other_jobs,
)
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.explain_denied_write import explain_denied_write
from shared.steps.updating_callers.record_callers import (
    holds_original,
    read_job_of_flow,
    record_callers,
)
from shared.steps.updating_callers.refer_to_secret import find_usable_references, record_url_secret
from shared.steps.updating_callers.write_callers import CallerWriter, write_callers
from shared.steps.write_permission import require_flow_not_excluded


async def start_updating_callers(work: StepContext) -> FlowJob:
    """Record the known callers of the original. Return the job in its next state.

    The callers of an original that is off are not recorded.
    """
    job = work.job
    if job.migration_method is MigrationMethod.COPY_OFF:
        text = "The original is off, so its callers are listed but not changed."
        return move_to_state(job, FlowJobState.CHECKING_FOR_CALLS, text, now=work.services.now)
    records = await record_callers(work)
    text = "No known caller calls the original."
    if records:
        text = f"The app has found {format_count(len(records), 'caller')}."
    return move_to_state(work.job, FlowJobState.UPDATING_CALLERS, text, now=work.services.now)


async def write_new_urls(work: StepContext) -> FlowJob:
    """Write the copy's URL into the recorded callers, one resource after the other."""
    urls: Mapping[str, str] | None = None
    plans, log = await read_plans_in_progress(work.services), await CallerEditLog.open(work)
    if work.job.url_secret:
        await record_url_secret(work, await work.callers.read_all())
    groups = _group_by_resource(await work.callers.read_all())
    # Callers refer to the secret when it has the copy's URL.
    for resource, records in sorted(
        groups.items(), key=partial(_is_written_after_secret, work.job)
    ):
        left = await _find_unwritten_callers(work, plans, records)
        if not left:
            continue
        is_shared = await wait_for_other_jobs(work, left[0].caller)
        if urls is None:
            await require_unleased_resource(work, resource)
            await work.require_write_allowed()
            urls = await read_new_urls(work)
        references = await find_usable_references(work, left, urls)
        own = CallerWriter(work=work, log=log, urls=urls, records=left, references=references)
        async with lease_resource(work, resource) as held, AsyncExitStack() as stack:
            batch = CallerWriteBatch(work, resource, stack)
            others = (
                await _read_writers_of_other_jobs(work, batch, plans, held) if is_shared else []
            )
            async with explain_denied_write(work.services, left[0].caller):
                written = [one.work for one in await write_callers(held, own, others)]
            if is_shared:
                moves = (
                    build_pending_write(one.job, resource, is_done=True) for one in (work, *written)
                )
                await work.services.tables.pending_caller_writes.upsert(*moves)
            for other in written:
                batch.make_job_due(other.job.id)
                with suppress(CmkflowError):  # the job's own invocation revokes the rest
                    await revoke_all_grants(other)
        await work.held.record_progress()
    return await _move_to_checking_for_calls(work)


async def _read_writers_of_other_jobs(
    work: StepContext, batch: CallerWriteBatch, plans: PlansInProgress, resource: LeasedResource
) -> list[CallerWriter]:
    """Return the writers of waiting jobs, as far as time and requests allow.

    After a crashed invocation each job continues on its own, so that no job makes others crash
    again.
    """
    found: list[CallerWriter] = []
    if work.job.consecutive_crashes > 1:
        return found
    until = work.services.now + work.services.settings.invocation_time_limit
    async for other in batch.lease_waiting_jobs():
        try:
            found.append(await _read_caller_writer(other, plans, resource.name))
        except ThrottledError:
            break
        except CmkflowError:
            continue  # the job's own invocation reports the error
        await resource.require_leases()
        if work.services.now >= until:
            break
    return found


async def _read_caller_writer(
    work: StepContext, plans: PlansInProgress, resource: str
) -> CallerWriter:
    records = _group_by_resource(await work.callers.read_all()).get(resource, [])
    left = await _find_unwritten_callers(work, plans, records)
    urls = await read_new_urls(work) if left else {}
    references = await find_usable_references(work, left, urls)
    log = await CallerEditLog.open(work)
    return CallerWriter(work=work, log=log, urls=urls, records=left, references=references)


async def _find_unwritten_callers(
    work: StepContext, plans: PlansInProgress, records: Sequence[CallerRecord]
) -> list[CallerRecord]:
    if records:
        require_flow_not_excluded(await work.read_settings(), work.job)
    left = []
    for record in records:
        await plans.require_not_copied(record.caller)
        if not await _record_parent_if_copied(work, record):
            left.append(record)
    return left


def _group_by_resource(records: Iterable[CallerRecord]) -> dict[str, list[CallerRecord]]:
    found: defaultdict[str, list[CallerRecord]] = defaultdict(list)
    for record in records:
        if record.state in {CallerState.FOUND, CallerState.WRITING}:
            found[record.caller.resource_id].append(record)
    return found


def _is_written_after_secret(job: FlowJob, group: tuple[str, Sequence[CallerRecord]]) -> bool:
    return all(record.caller.address != job.url_secret for record in group[1])


async def _move_to_checking_for_calls(work: StepContext) -> FlowJob:
    services, stale, manual_notes = work.services, timedelta(0), []
    for record in await work.callers.read_all():
        if record.state is CallerState.UPDATED:
            stale = max(stale, services.callers[record.caller.kind].old_value_lifetime)
        if record.state is CallerState.MANUAL:
            manual_notes.append(f"A person has to change: {record.caller.label}.")
    observation = Observation(started_at=services.now, no_call_period=stale or None)
    job = add_notes(replace(work.job, observation=observation), *manual_notes)
    updated = "Every known caller has the new URL. Now the original must receive no calls."
    if manual_notes:
        number = format_count(len(manual_notes), "caller")
        updated = f"A person has to change {number}. All other callers have the new URL."
    return move_to_state(job, FlowJobState.CHECKING_FOR_CALLS, updated, now=services.now)


async def _record_parent_if_copied(work: StepContext, record: CallerRecord) -> bool:
    """Return whether the caller's own job now copies the caller. If so, record that job as a
    parent.

    That job writes the URL into its copy, so the caller itself is not changed.
    """
    other = await read_job_of_flow(work, record.caller)
    if other is None or other.id == work.job.id:
        return False
    if record.caller.workflow_id == other.copy.id and other.is_verified:
        return False
    if not await holds_original(work.services, work.job, record.caller):
        return False
    name = format_job_reference(other, work.job.environment_id)
    await work.save(replace(work.job, parents=tuple(sorted({*work.job.parents, name}))))
    await work.callers.upsert(replace(record, state=CallerState.NOT_NEEDED))
    return True


async def read_new_urls(work: StepContext) -> dict[str, str]:
    """Return the copy's trigger URL by the original's trigger URL id.

    Returns nothing if the original has no URL id. Raises `JobBlocked` if the copy is not healthy,
    because then no caller may be changed to it.
    """
    require_healthy_copy(work.job, await work.read_cached("copy", partial(find_copy, work)))
    job = work.job
    if not job.original.url_id:
        return {}
    url = await read_trigger_url(work, job.copy.flow_name, job.original.trigger_name)
    return {job.original.url_id: url}
