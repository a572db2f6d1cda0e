"""Note every known caller of an original, so that what is done to each can be undone."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from shared.domain.callers.caller import Caller, flow_caller
from shared.domain.callers.caller_edit import contains_reference
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.ids import hash_key
from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked, NotFound
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.caller_index import places_calling
from shared.steps.flows.read_original_facts import archive_name
from shared.steps.step_context import StepContext
from shared.steps.write_permission import check_write_allowed, settings_of

NOT_OPTED_IN = "Its environment is not opted in: set its mode, or change it by hand."
EXCLUDED = "An administrator excluded it: change it by hand."


async def record_callers(work: StepContext) -> list[CallerRecord]:
    """Note the callers that the last search found, and the parents among them; return all."""
    job, rows = work.job, work.callers
    parents = set(job.parents)
    records = {record.id: record for record in await rows.all()}
    async for caller in _callers(work):
        other = await job_of_flow(work, caller)
        if other and other.id == job.id:
            caller = _copy_as_caller(job)
        elif other:
            # Its copy is written against ours: it never needs the new URL itself.
            parents.add(format_job_reference(other, job.environment_id))
            continue
        identity = hash_key(caller.kind, caller.address)
        if identity in records and records[identity].state is not CallerState.REVERTED:
            continue
        state = CallerState.MANUAL if caller.manual else CallerState.FOUND
        records[identity] = CallerRecord(job_id=job.id, id=identity, caller=caller, state=state)
        await rows.upsert(records[identity])
    if parents - {job.id} != set(job.parents):
        await work.save(replace(work.job, parents=tuple(sorted(parents - {job.id}))))
    return list(records.values())


async def _callers(work: StepContext) -> AsyncIterator[Caller]:
    """Yield the callers that were found, and the copy if the original calls itself."""
    async for caller in found_callers(work):
        yield caller
    job = work.job
    with suppress(NotFound):  # the search tells of flows that have a row, the archive of all
        copied = (await work.services.archive.get(archive_name(job))).decode()
        urls = {job.original_url_id} - {""}
        if contains_reference(copied, is_json=True, urls=urls, flow_ids=flow_ids_of(job)):
            yield _copy_as_caller(job)


def _copy_as_caller(job: FlowJob) -> Caller:
    """It calls the original, as the original calls itself, until it is re-pointed."""
    title = f"copy of {job.display_name}, which calls itself"
    return flow_caller(job.environment_id, job.copy_id, title)


async def callers_left(work: StepContext) -> bool:
    """Say whether a caller has to be updated before the original may go.

    Since the callers moved one may have been found, or somebody may have put an old value back.
    Raises `JobBlocked` for one that only a person can change.
    """
    left = False
    for record in await record_callers(work):
        other = await copied_elsewhere(work, record.caller)
        if other and other.id != work.job.id:
            continue  # a parent by now: this original goes after it
        if record.state is not CallerState.FOUND:
            if not await holds_original(work.services, work.job, record.caller):
                continue
            reason = await manual_reason(work.services, work.job, record.caller)
            if reason:
                raise JobBlocked(
                    f"The {record.caller.label} still calls {work.job.display_name}.",
                    instruction=f"{reason} Then retry.",
                    code=Reason.MANUAL_CALLER,
                )
            again = replace(record, state=CallerState.FOUND)
            await work.callers.upsert(again)
        left = True
    return left


async def manual_reason(services: Services, job: FlowJob, caller: Caller) -> str:
    """Return why only a person may change a caller now; empty: the app may."""
    environment_id = caller.environment_id
    if caller.manual or environment_id is None:
        return caller.manual
    excluded = (await settings_of(services, environment_id)).excluded_flows
    if caller.workflow_id and caller.workflow_id in excluded:
        return EXCLUDED
    if environment_id != job.environment_id:
        try:
            await check_write_allowed(services, environment_id)
        except JobBlocked:
            return NOT_OPTED_IN
    return ""


def is_child_reference(job: FlowJob, caller: Caller) -> bool:
    """Say whether a child flow's id at the caller means this job's original (`places_calling`)."""
    return caller.environment_id == job.environment_id


async def copied_elsewhere(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job of the caller, if the caller is itself an original that is being copied."""
    return await _live_job(work, caller, "original_id")


async def copied_or_undone(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job of the caller if the caller is an original whose copy may stand."""
    return await _live_job(work, caller, "original_id", even_undone=True)


async def job_of_flow(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job of which the caller is the original or the copy, in its own environment."""
    original = await _live_job(work, caller, "original_id")
    return original or await _live_job(work, caller, "copy_id")


async def _live_job(
    work: StepContext, caller: Caller, column: str, *, even_undone: bool = False
) -> FlowJob | None:
    if not caller.workflow_id or not caller.environment_id:
        return None
    is_here = caller.environment_id == work.job.environment_id
    where = [Condition(column, "eq", caller.workflow_id)]
    for job in await work.services.tables.flow_jobs.all(caller.environment_id, where=where):
        is_meant = job.is_live or (even_undone and job.is_rolling_back)
        if is_meant and (not is_here or job.policy_id == work.job.policy_id):
            return job
    return None


async def found_callers(work: StepContext) -> AsyncIterator[Caller]:
    """Yield each caller that the last search found, by the original's URL or by its id."""
    job = work.job
    async for place in places_calling(
        work.services,
        job.environment_id,
        url_id=job.original_url_id,
        flow_ids=flow_ids_of(job),
    ):
        yield place.caller


def flow_ids_of(job: FlowJob) -> set[str]:
    """Return the ids of the original: a canvas app may name it as the flow service does."""
    return {job.original_id, job.flow_name.lower()}


async def holds_original(services: Services, job: FlowJob, caller: Caller) -> bool:
    """Say whether the original's URL or id stands at a caller now."""
    flow_ids = flow_ids_of(job) if is_child_reference(job, caller) else set()
    return await _holds(services, caller, {job.original_url_id}, flow_ids)


async def holds_copy(services: Services, job: FlowJob, caller: Caller) -> bool:
    """Say whether the copy's URL or id stands at a caller now."""
    flow_ids = (
        {job.copy_id, job.copy_flow_name.lower()} if is_child_reference(job, caller) else set()
    )
    return await _holds(services, caller, {job.copy_url_id}, flow_ids)


async def _holds(services: Services, caller: Caller, urls: set[str], flow_ids: set[str]) -> bool:
    kind = services.callers[caller.kind]
    try:
        text = (await kind.read(caller)).text
    except NotFound:
        return False
    return contains_reference(
        text, is_json=kind.is_json, urls=urls - {""}, flow_ids=flow_ids - {""}
    )


async def manual_caller_of_copy(services: Services, job: FlowJob) -> Caller | None:
    """Return a caller that a person pointed at the copy, which only a person can put back."""
    for record in await services.tables.callers.all(job.id):
        is_manual = record.state is CallerState.MANUAL
        if is_manual and await holds_copy(services, job, record.caller):
            return record.caller
    return None


async def has_manual_caller(services: Services, job: FlowJob) -> bool:
    """Say whether a caller that only a person can change still calls what is to go.

    That is the original; in a rollback it is the copy.
    """
    if job.is_rolling_back:
        return await manual_caller_of_copy(services, job) is not None
    for record in await services.tables.callers.all(job.id):
        by_hand = record.state is CallerState.MANUAL and await manual_reason(
            services, job, record.caller
        )
        if by_hand and await holds_original(services, job, record.caller):
            return True
    return False
