"""Record every known caller of an original, so that each edit can be reverted."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from shared.domain.callers.caller import Caller, build_flow_caller
from shared.domain.callers.caller_edit import contains_reference
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.callers.url_secret import build_reference_to_address
from shared.domain.definitions.event_grid_validation import NOT_ANSWERED
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.ids import hash_key
from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked, NotFound
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.caller_index import read_callers_of_flow
from shared.steps.flows.read_original_facts import build_definition_archive_name
from shared.steps.step_context import StepContext
from shared.steps.write_permission import read_environment_settings, require_write_allowed

NOT_OPTED_IN = (
    "The app may not write in its environment. Set the environment's mode, or change the caller "
    "yourself."
)
EXCLUDED = "An administrator excluded it. Change it yourself."


async def record_callers(work: StepContext) -> list[CallerRecord]:
    """Record the callers that the last search found; those that are copied themselves become
    parents. Return all records.
    """
    job, rows = work.job, work.callers
    parents = set(job.parents)
    records = {record.id: record for record in await rows.read_all()}
    async for caller in _find_all_callers(work):
        other = await read_job_of_flow(work, caller)
        if other and other.id == job.id:
            caller = _build_copy_as_caller(job)
        elif other:
            # The parent's copy will run this flow's copy, so the parent itself is not changed.
            parents.add(format_job_reference(other, job.environment_id))
            continue
        identity = hash_key(caller.kind, caller.address)
        if identity in records and records[identity].state is not CallerState.REVERTED:
            continue
        state = CallerState.MANUAL if caller.manual_reason else CallerState.FOUND
        records[identity] = CallerRecord(job_id=job.id, id=identity, caller=caller, state=state)
        await rows.upsert(records[identity])
    if parents - {job.id} != set(job.parents):
        await work.save(replace(work.job, parents=tuple(sorted(parents - {job.id}))))
    return list(records.values())


async def _find_all_callers(work: StepContext) -> AsyncIterator[Caller]:
    async for caller in read_found_callers(work):
        yield caller
    job = work.job
    with suppress(NotFound):  # the search finds flows with a row; the archive has all definitions
        copied = (await work.services.archive.get(build_definition_archive_name(job))).decode()
        urls = {job.original.url_id} - {""}
        if contains_reference(copied, is_json=True, urls=urls, flow_ids=list_original_ids(job)):
            yield _build_copy_as_caller(job)


def _build_copy_as_caller(job: FlowJob) -> Caller:
    """Return the copy as a caller: until it is updated, the copy of a flow that calls itself calls
    the original.
    """
    title = f"copy of {job.display_name}, which calls itself"
    return build_flow_caller(job.environment_id, job.copy.id, title)


async def has_callers_left(work: StepContext) -> bool:
    """Return whether a caller still has to be updated before the original may be retired.

    The caller may have been found later, or somebody may have restored an old value. Raises
    `JobBlocked` if only a person can change such a caller.
    """
    left = False
    for record in await record_callers(work):
        other = await read_job_copied_elsewhere(work, record.caller)
        if other and other.id != work.job.id:
            continue  # it became a parent: this original is retired after it
        if record.state is not CallerState.FOUND:
            if not await holds_original(work.services, work.job, record.caller):
                if record.state is CallerState.MANUAL:
                    await work.callers.upsert(replace(record, state=CallerState.CHANGED))
                continue
            reason = await find_manual_reason(work.services, work.job, record.caller)
            if reason:
                await work.callers.upsert(replace(record, state=CallerState.MANUAL))
                raise JobBlocked(
                    f"The {record.caller.label} still calls {work.job.display_name}.",
                    fix=f"{reason} Then retry.",
                    code=Reason.MANUAL_CALLER,
                )
            again = replace(record, state=CallerState.FOUND)
            await work.callers.upsert(again)
        left = True
    return left


async def find_manual_reason(services: Services, job: FlowJob, caller: Caller) -> str:
    """Return why only a person may change a caller now, or ""."""
    environment_id = caller.environment_id
    if caller.is_validated_by_event_grid and not await _answers_event_grid(services, job):
        return NOT_ANSWERED
    if caller.manual_reason or environment_id is None:
        return caller.manual_reason
    excluded = (await read_environment_settings(services, environment_id)).excluded_flows
    if caller.workflow_id and caller.workflow_id in excluded:
        return EXCLUDED
    if environment_id != job.environment_id:
        try:
            await require_write_allowed(services, environment_id)
        except JobBlocked:
            return NOT_OPTED_IN
    return ""


async def _answers_event_grid(services: Services, job: FlowJob) -> bool:
    environment = await services.environments.get_cached(job.environment_id)
    try:
        copy = await services.workflows.get(environment, job.copy.id)
        return parse_client_data(copy.client_data).answers_event_grid
    except NotFound:
        return True
    except UnreadableDefinition:
        return False


def is_child_reference(job: FlowJob, caller: Caller) -> bool:
    """Return whether a flow id in the caller can mean the job's original.

    `select_callers_of_flow` contains the rule.
    """
    return caller.environment_id == job.environment_id


async def read_job_copied_elsewhere(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job that copies the caller, or None if there is none."""
    return await _find_live_job(work, caller, "original_id")


async def read_job_copied_or_rolling_back(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job that copies the caller or is being rolled back, or None."""
    return await _find_live_job(work, caller, "original_id", with_rollbacks=True)


async def read_job_of_flow(work: StepContext, caller: Caller) -> FlowJob | None:
    """Return the job whose original or copy is the caller, or None."""
    original = await _find_live_job(work, caller, "original_id")
    return original or await _find_live_job(work, caller, "copy_id")


async def _find_live_job(
    work: StepContext, caller: Caller, column: str, *, with_rollbacks: bool = False
) -> FlowJob | None:
    if not caller.workflow_id or not caller.environment_id:
        return None
    is_here = caller.environment_id == work.job.environment_id
    where = [Condition(column, "eq", caller.workflow_id)]
    for job in await work.services.tables.flow_jobs.read_all(caller.environment_id, where=where):
        is_meant = job.is_live or (with_rollbacks and job.is_rolling_back)
        if is_meant and (not is_here or job.policy_id == work.job.policy_id):
            return job
    return None


async def read_found_callers(work: StepContext) -> AsyncIterator[Caller]:
    """Yield the callers that the last search found by the original's URL or ids."""
    job = work.job
    async for place in read_callers_of_flow(
        work.services,
        job.environment_id,
        url_id=job.original.url_id,
        flow_ids=list_original_ids(job),
    ):
        yield place.caller


def list_original_ids(job: FlowJob) -> set[str]:
    """Return the ids of the original in Dataverse and in the flow service.

    A canvas app may use either.
    """
    return {job.original.id, job.original.flow_name.lower()}


async def holds_original(services: Services, job: FlowJob, caller: Caller) -> bool:
    """Return whether a caller's place contains the original's URL or id now."""
    flow_ids = list_original_ids(job) if is_child_reference(job, caller) else set()
    return await _holds_reference(services, caller, {job.original.url_id}, flow_ids)


async def holds_copy(services: Services, job: FlowJob, caller: Caller) -> bool:
    """Return whether a caller's place contains the copy's URL or id now.

    A reference to the secret with the copy's URL counts.
    """
    flow_ids = set(job.copy.ids) if is_child_reference(job, caller) else set()
    reference = build_reference_to_address(job.url_secret) if job.url_secret else ""
    return await _holds_reference(services, caller, {job.copy.url_id}, flow_ids, reference)


async def _holds_reference(
    services: Services, caller: Caller, urls: set[str], flow_ids: set[str], secret: str = ""
) -> bool:
    kind = services.callers[caller.kind]
    try:
        text = (await kind.read(caller)).text
    except NotFound:
        return False
    return text == secret != "" or contains_reference(
        text, is_json=kind.is_json, urls=urls - {""}, flow_ids=flow_ids - {""}
    )


async def find_manual_caller_of_copy(services: Services, job: FlowJob) -> Caller | None:
    """Return a caller that calls the copy and that only a person can revert, or None."""
    for record in await services.tables.callers.read_all(job.id):
        if record.is_manual and await holds_copy(services, job, record.caller):
            return record.caller
    return None


async def has_manual_caller(services: Services, job: FlowJob) -> bool:
    """Return whether a manual caller still calls the flow that is to be turned off.

    That is the original, or in a rollback the copy.
    """
    if job.is_rolling_back:
        return await find_manual_caller_of_copy(services, job) is not None
    for record in await services.tables.callers.read_all(job.id):
        is_manual = record.is_manual and await find_manual_reason(services, job, record.caller)
        if is_manual and await holds_original(services, job, record.caller):
            return True
    return False
