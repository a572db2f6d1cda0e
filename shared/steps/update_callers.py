"""Point every known caller at the copy. What each change was is noted before it is made."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from shared.domain import caller_edit
from shared.domain.caller import Caller, CallerValue
from shared.domain.job import FlowJob, JobState, Pattern, job_id, moved
from shared.domain.records import CallerRecord, CallerState, key_of
from shared.errors import Blocked, Conflict, NotFound
from shared.steps.gate import permit_write
from shared.steps.hold_resource import hold_resource
from shared.steps.trigger_address import read_trigger_url
from shared.steps.work import Work

#: Times a caller that somebody else is editing is read and written again in one delivery.
TRIES = 4


async def begin(work: Work) -> FlowJob:
    """Note every known caller, so that what is done to each can be undone."""
    job, tables = work.job, work.services.tables
    if job.pattern is Pattern.OFF:
        text = "The original is off: its callers are listed, not changed."
        return moved(job, JobState.QUIET, text, now=work.services.now)
    parents = set(job.parents)
    known = {record.id for record in await tables.callers.all(job.id)}
    for holds in filter(None, (job.original_url_id, job.original_id)):
        async for kept in tables.places.query(holds):
            caller = kept.item.caller
            if holds == job.original_id and not is_family(job, caller):
                continue
            other = await copied_elsewhere(work, caller)
            if other:
                # Its copy is written against ours: it never needs the new URL itself.
                parents.add(other.id)
            elif (identity := key_of(caller.kind, caller.address)) not in known:
                known.add(identity)
                state = CallerState.MANUAL if caller.manual else CallerState.FOUND
                record = CallerRecord(job_id=job.id, id=identity, caller=caller, state=state)
                await tables.callers.upsert(record)
    job = replace(work.job, parents=tuple(sorted(parents - {job.id})))
    text = f"{len(known)} callers are to be updated."
    return moved(job, JobState.UPDATING_CALLERS, text, now=work.services.now)


async def update(work: Work) -> FlowJob:
    """Write the new URL into every noted caller, one after the other."""
    services = work.services
    stale = timedelta(0)
    urls: Mapping[str, str] | None = None
    for record in await services.tables.callers.all(work.job.id):
        if record.state in {CallerState.FOUND, CallerState.WRITING}:
            if urls is None:
                urls = await new_urls(work)
            record = await update_one(work, record, urls)
        if record.state is CallerState.UPDATED:
            stale = max(stale, services.callers[record.caller.kind].staleness)
    job = replace(work.job, cut_over_at=services.now, quiet_for=stale or None, drained=())
    updated = "Every known caller holds the new URL; now the original has to fall quiet."
    return moved(job, JobState.QUIET, updated, now=services.now)


async def new_urls(work: Work) -> dict[str, str]:
    """Return the copy's trigger URL by the id in the original's; empty where there is none."""
    job = work.job
    if not job.original_url_id:
        return {}
    url = await read_trigger_url(work, job.copy_flow_name, job.trigger_name)
    return {job.original_url_id: url}


async def update_one(work: Work, record: CallerRecord, urls: Mapping[str, str]) -> CallerRecord:
    """Write one caller: note the edit, write, read back. Returns the record as it was stored."""
    kind = work.services.callers[record.caller.kind]
    job = work.job
    flow_ids = {job.original_id: job.copy_id} if is_family(job, record.caller) else {}
    async with hold_resource(work, record.caller.resource):
        for _ in range(TRIES):
            try:
                value = await kind.read(record.caller)
            except NotFound:
                return await _keep(work, record, CallerState.UNNEEDED)
            rewritten = caller_edit.rewrite(
                value.text, is_json=kind.is_json, urls=urls, flow_ids=flow_ids
            )
            if rewritten.text == value.text:
                if record.state is CallerState.WRITING:
                    # A delivery that died wrote the value; what hangs on it may be missing.
                    await work.permit_write()
                    await kind.write(record.caller, value)
                return await _keep(work, record, _state_without_edit(record, rewritten))
            if not await _permit_write(work, record.caller):
                return await _keep(work, record, CallerState.MANUAL)
            record = replace(record, edits=caller_edit.to_json(rewritten.edits))
            record = await _keep(work, record, CallerState.WRITING)
            try:
                await kind.write(record.caller, CallerValue(text=rewritten.text, etag=value.etag))
            except Conflict:
                continue
            if (await kind.read(record.caller)).text == rewritten.text:
                return await _keep(work, record, CallerState.UPDATED)
    raise Blocked(
        f"{record.caller.label} does not keep the new URL: something else writes it.",
        instruction="Find out what resets this value and change it there, then retry.",
        code="caller",
    )


def is_family(job: FlowJob, caller: Caller) -> bool:
    """Say whether a child flow's id at the caller means this job's original.

    A workflow keeps its id when its solution is imported elsewhere (contract §6.1), and a flow runs
    child flows of its own environment only. A trigger URL means the same everywhere.
    """
    return caller.environment_id == job.environment_id


async def copied_elsewhere(work: Work, caller: Caller) -> FlowJob | None:
    """Return the job of the caller, if the caller is itself an original that is being copied."""
    if not caller.workflow_id or caller.environment_id != work.job.environment_id:
        return None
    identity = job_id(work.job.environment_id, caller.workflow_id, work.job.policy_id)
    kept = await work.services.tables.jobs.get(work.job.environment_id, identity)
    ended = {JobState.CANCELLED, JobState.ROLLING_BACK, JobState.ROLLED_BACK}
    return kept.item if kept and kept.item.state not in ended else None


def _state_without_edit(record: CallerRecord, rewritten: caller_edit.Rewrite) -> CallerState:
    if record.state is CallerState.WRITING:
        return CallerState.UPDATED
    return CallerState.MANUAL if rewritten.left else CallerState.UNNEEDED


async def _permit_write(work: Work, caller: Caller) -> bool:
    """Say whether the caller may be written; in an environment not opted in, only by a person."""
    await work.permit_write()
    elsewhere = caller.environment_id
    if elsewhere is None or elsewhere == work.job.environment_id:
        return True
    try:
        await permit_write(work.services, elsewhere)
    except Blocked:
        return False
    return True


async def _keep(work: Work, record: CallerRecord, state: CallerState) -> CallerRecord:
    record = replace(record, state=state)
    await work.services.tables.callers.upsert(record)
    return record
