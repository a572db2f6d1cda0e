"""Point every known caller at the copy. What each change was is noted before it is made."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from shared.domain.callers import edit as caller_edit
from shared.domain.callers.caller import FILLED_IN, Caller, CallerValue
from shared.domain.callers.records import CallerRecord, CallerState
from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.job import FlowJob, Pattern
from shared.domain.jobs.refusals import code_for
from shared.domain.jobs.relatives import reference
from shared.domain.jobs.transitions import moved
from shared.errors import Blocked, Conflict, MigrationInProgress, NotFound, Refused
from shared.reason import Reason
from shared.steps.flows.open_plans import open_plans
from shared.steps.flows.read_back import looks, wait_to_see
from shared.steps.flows.standing_copy import standing_copy
from shared.steps.flows.trigger_address import read_trigger_url
from shared.steps.gate import permit_write
from shared.steps.moving_callers.hold_resource import hold_resource, require_free
from shared.steps.moving_callers.note_callers import (
    holds_original,
    is_family,
    job_of_flow,
    note_callers,
    why_by_hand,
)
from shared.steps.moving_callers.undo_log import UndoLog
from shared.steps.work import Work

#: Times a caller that somebody else is editing is read and written again in one delivery.
TRIES = 4


async def begin(work: Work) -> FlowJob:
    """Note every known caller, so that what is done to each can be undone."""
    job = work.job
    if job.pattern is Pattern.OFF:
        text = "The original is off: its callers are listed, not changed."
        return moved(job, JobState.QUIET, text, now=work.services.now)
    records = await note_callers(work)
    text = f"{len(records)} callers are to be updated."
    return moved(work.job, JobState.UPDATING_CALLERS, text, now=work.services.now)


async def update(work: Work) -> FlowJob:
    """Write the new URL into every noted caller, one after the other."""
    services = work.services
    stale, by_hand = timedelta(0), []
    urls: Mapping[str, str] | None = None
    plans, log = await open_plans(services), await UndoLog.open(work)
    for record in await work.callers.all():
        if record.state in {CallerState.FOUND, CallerState.WRITING}:
            await plans.wait_for(record.caller)
            if await _is_copied_by_now(work, record):
                continue
            if urls is None:
                await require_free(work, record.caller.resource)
                urls = await new_urls(work)
            record = await update_one(work, log, record, urls)
            await work.held.advanced()
        if record.state is CallerState.UPDATED:
            stale = max(stale, services.callers[record.caller.kind].staleness)
        if record.state is CallerState.MANUAL:
            by_hand.append(f"For a person: {record.caller.label}.")
    job = replace(
        work.job,
        cut_over_at=services.now,
        quiet_for=stale or None,
        drained=(),
        notes=tuple(dict.fromkeys((*work.job.notes, *by_hand))),
    )
    updated = "Every known caller holds the new URL; now the original has to fall quiet."
    if by_hand:
        updated = f"{len(by_hand)} callers are for a person; every other one holds the new URL."
    return moved(job, JobState.QUIET, updated, now=services.now)


async def _is_copied_by_now(work: Work, record: CallerRecord) -> bool:
    """Leave a caller alone whose own job has begun since it was noted: that writes its copy.

    Says whether it was left. A copy that is proven is written like any other caller.
    """
    other = await job_of_flow(work, record.caller)
    if other is None or other.id == work.job.id:
        return False
    if record.caller.workflow_id == other.copy_id and other.is_proven:
        return False
    if not await holds_original(work.services, work.job, record.caller):
        return False
    name = reference(other, work.job.environment_id)
    await work.save(replace(work.job, parents=tuple(sorted({*work.job.parents, name}))))
    await _keep(work, record, CallerState.UNNEEDED)
    return True


async def new_urls(work: Work) -> dict[str, str]:
    """Return the copy's trigger URL by the id in the original's; empty where there is none.

    Raises `Blocked` if the copy does not stand: no caller may be pointed at it.
    """
    await standing_copy(work)
    job = work.job
    if not job.original_url_id:
        return {}
    url = await read_trigger_url(work, job.copy_flow_name, job.trigger_name)
    return {job.original_url_id: url}


async def update_one(
    work: Work, log: UndoLog, record: CallerRecord, urls: Mapping[str, str]
) -> CallerRecord:
    """Write one caller: note the edit, write, read back. Returns the record as it was stored."""
    kind = work.services.callers[record.caller.kind]
    job = work.job
    flow_ids = {job.original_id: job.copy_id} if is_family(job, record.caller) else {}
    async with hold_resource(work, record.caller.resource) as resource:
        for _ in range(TRIES):
            try:
                value = await kind.read(record.caller)
            except NotFound:
                return await _keep(work, record, CallerState.UNNEEDED)
            rewritten = caller_edit.rewrite(
                value.text, is_json=kind.is_json, urls=urls, flow_ids=flow_ids
            )
            has_copy = _has_copy(work, value.text, is_json=kind.is_json)
            if rewritten.text == value.text:
                was_edited = has_copy and bool(log.edits(record))
                state = _state_without_edit(rewritten, was_edited=was_edited)
                if state is CallerState.UPDATED:
                    # A delivery that died wrote the value; what hangs on it may be missing.
                    await permit_caller(work, record.caller)
                    await resource.permit()
                    await kind.write(record.caller, value)
                if state is CallerState.MANUAL:
                    record = replace(record, caller=replace(record.caller, manual=FILLED_IN))
                return await _keep(work, record, state)
            await work.permit_write()
            if await why_by_hand(work.services, job, record.caller):
                return await _keep(work, record, CallerState.MANUAL)
            await log.append(record, value, rewritten.edits, is_first=not has_copy)
            record = await _keep(work, record, CallerState.WRITING)
            await resource.permit()
            try:
                await _write(work, record.caller, CallerValue(text=rewritten.text, etag=value.etag))
            except Conflict:
                continue
            async for _ in looks(work):
                if (await kind.read(record.caller)).text == rewritten.text:
                    return await _keep(work, record, CallerState.UPDATED)
    await wait_to_see(work, f"The new URL of {record.caller.label}")
    raise Blocked(
        f"{record.caller.label} does not keep the new URL: something else writes it.",
        instruction="Find out what resets this value and change it there, then retry.",
        code=Reason.CALLER,
    )


async def _write(work: Work, caller: Caller, value: CallerValue) -> None:
    """Write a caller; raises `Blocked` that names it if its content is refused, and `Conflict`."""
    try:
        await work.services.callers[caller.kind].write(caller, value)
    except MigrationInProgress:
        raise
    except Refused as err:
        raise Blocked(
            f"The {caller.label} cannot be saved with the new URL: {err}",
            instruction=f"Mend in the {caller.label} what the message names, and save it; or point "
            "it at the copy by hand. Then retry.",
            code=code_for(err.code, err.detail),
        ) from err


def _has_copy(work: Work, text: str, *, is_json: bool) -> bool:
    job = work.job
    ids = {job.copy_id}
    return caller_edit.holds(text, is_json=is_json, urls={job.copy_url_id} - {""}, flow_ids=ids)


def _state_without_edit(rewritten: caller_edit.Rewrite, *, was_edited: bool) -> CallerState:
    if was_edited:
        return CallerState.UPDATED
    return CallerState.MANUAL if rewritten.left else CallerState.UNNEEDED


async def permit_caller(work: Work, caller: Caller) -> None:
    """Return if the caller may be written now: its own environment has a say in it."""
    if caller.environment_id and caller.environment_id != work.job.environment_id:
        await permit_write(work.services, caller.environment_id)
    await work.permit_write()


async def _keep(work: Work, record: CallerRecord, state: CallerState) -> CallerRecord:
    record = replace(record, state=state)
    await work.callers.upsert(record)
    return record
