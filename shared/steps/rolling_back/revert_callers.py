"""Revert callers: exactly the recorded edits of each, and nothing else."""

from dataclasses import replace

from shared.domain.callers import caller_edit
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.jobs.dependent_jobs import format_job_reference
from shared.domain.trigger_urls.signatures import SignatureChanged, find_signatures
from shared.errors import Conflict, JobBlocked
from shared.reason import Reason
from shared.steps.flows.lease_resource import lease_resource, require_unleased_resource
from shared.steps.flows.read_back import iterate_read_attempts, wait_until_visible
from shared.steps.flows.read_trigger_url import read_original_signatures
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.explain_denied_write import explain_denied_write
from shared.steps.updating_callers.record_callers import (
    find_manual_caller_of_copy,
    holds_original,
    read_job_copied_or_rolling_back,
)
from shared.steps.updating_callers.save_places import (
    holds_value,
    read_places_to_write,
    require_caller_write_allowed,
    write_places,
)
from shared.steps.updating_callers.write_callers import CALLER_WRITE_ATTEMPTS


async def revert_callers(work: StepContext) -> list[CallerRecord]:
    """Revert the app's edits of each caller, and return the records of the edited callers.

    Raises `JobBlocked` if somebody else has changed the same reference.
    """
    log = await CallerEditLog.open(work)
    changed = [record for record in await work.callers.read_all() if log.list_active_edits(record)]
    signatures: dict[str, str] | None = None
    for record in changed:
        if record.state not in {CallerState.REVERTED, CallerState.NOT_NEEDED}:
            if signatures is None:
                await require_unleased_resource(work, record.caller.resource_id)
                signatures = (
                    await read_original_signatures(work)
                    if work.job.original.has_trigger_url
                    else {}
                )
            async with explain_denied_write(work.services, record.caller):
                await _revert_caller(work, log, record, signatures)
            await work.held.record_progress()
    return changed


async def require_manual_callers_reverted(work: StepContext) -> None:
    """Raise `JobBlocked` if a caller that only a person can revert still calls the copy.

    Otherwise records which manual callers call the original again.
    """
    caller = await find_manual_caller_of_copy(work.services, work.job)
    if caller:
        raise JobBlocked(
            f"The {caller.label} calls the copy of {work.job.display_name}.",
            fix=f"{caller.revert_reason or 'Change it to the original yourself.'} Then retry.",
            code=Reason.MANUAL_CALLER,
        )
    for record in await work.callers.read_all():
        if record.is_manual and await holds_original(work.services, work.job, record.caller):
            await _record_caller_reverted(work, record)


async def _revert_caller(
    work: StepContext, log: CallerEditLog, record: CallerRecord, signatures: dict[str, str]
) -> None:
    await _require_not_copied(work, record)
    caller, edits = record.caller, log.list_active_edits(record)
    kind = work.services.callers[caller.kind]
    async with lease_resource(work, caller.resource_id) as resource:
        for _ in range(CALLER_WRITE_ATTEMPTS):
            current = await read_places_to_write(work, kind, [caller])
            value = current.get(caller.address)
            if value is None:
                return await _record_caller_reverted(work, record)
            known = {**find_signatures(value.text), **signatures}
            try:
                text = caller_edit.revert_edits(value.text, edits, known)
            except (SignatureChanged, caller_edit.EditConflict) as err:
                raise JobBlocked(
                    f"The app cannot revert {caller.label}: {err}",
                    fix="Restore the original's trigger URL there yourself, then retry.",
                    code=Reason.CALLER_WRITE_LOST,
                ) from err
            if value.surrounding_digests is not None:
                await require_caller_write_allowed(work, caller)
                await log.append(record, value)
            text_format = (
                caller_edit.find_format_before_reference(value.text, edits) or value.text_format
            )
            old = replace(value, text=text, text_format=text_format)
            try:
                await write_places(work, resource, kind, [(caller, old)], current)
            except Conflict:
                continue
            async for _ in iterate_read_attempts(work):
                if holds_value(kind, await kind.read(caller), old):
                    return await _record_caller_reverted(work, record)
    await wait_until_visible(work, f"The old value of {record.caller.label}")
    raise JobBlocked(
        f"Something else overwrites the old value of the {record.caller.label}.",
        fix="Find out what overwrites this value, restore the original's URL there, then retry.",
        code=Reason.CALLER_WRITE_LOST,
    )


async def _require_not_copied(work: StepContext, record: CallerRecord) -> None:
    """Raise `JobBlocked` if the caller itself was copied since, unless its job is being rolled
    back.

    The caller's copy calls this copy, so the caller's job becomes a parent.
    """
    other = await read_job_copied_or_rolling_back(work, record.caller)
    if other is None or other.id == work.job.id:
        return
    name = format_job_reference(other, work.job.environment_id)
    if name not in work.job.parents:
        await work.save(replace(work.job, parents=tuple(sorted({*work.job.parents, name}))))
    if other.is_live and other.requested_command is None:
        raise JobBlocked(
            f"The {record.caller.label} was copied after the app had changed it to this copy.",
            fix=f"Roll {other.display_name} back. This job then continues.",
            code=Reason.PARENT_FLOW_NOT_READY,
        )


async def _record_caller_reverted(work: StepContext, record: CallerRecord) -> None:
    await work.callers.upsert(replace(record, state=CallerState.REVERTED))
