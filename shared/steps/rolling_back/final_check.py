"""Check, before a rollback ends, whether an interrupted invocation has changed anything.

Such an invocation is suspended, or one of its writes is in flight. After a time limit nothing can
follow (`DurableJob.settles_at`). Until then the copy stays on for callers that were changed to it.
"""

from dataclasses import replace

from shared.domain.callers.caller_records import CallerState
from shared.domain.jobs.flow_job import FlowJob, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.errors import MustWait
from shared.reason import Reason
from shared.steps.flows.original import read_original
from shared.steps.flows.temporary_co_ownership import revoke_grant
from shared.steps.rolling_back.report_stale_writes import report_stale_writes
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import holds_copy


async def repeat_rollback_if_changed(work: StepContext) -> FlowJob | None:
    """Return the job at the stage to repeat, or None if nothing has changed.

    Raises `MustWait` until no write is in flight.
    """
    had_open_invocations = await wait_and_revoke_grants(work)
    # Another job may have caused it too: an app's settings are written as a whole.
    found = await _mark_callers_with_copy_again(work)
    if had_open_invocations:
        found += await _find_turned_off_original(work)
    return _repeat_rollback(work, found)


async def repeat_rollback_if_callers_changed(work: StepContext) -> FlowJob | None:
    """Return the job at the stage to repeat, or None if no caller has changed."""
    return _repeat_rollback(work, await _mark_callers_with_copy_again(work))


def _repeat_rollback(work: StepContext, found: list[str]) -> FlowJob | None:
    if not found:
        return None
    job = replace(work.job, rollback_stage=RollbackStage.TURN_ON_ORIGINAL)
    text = (
        "An invocation that had not completed changed these again, and the app is reverting them: "
        f"{', '.join(found)}."
    )
    return move_to_state(job, FlowJobState.ROLLING_BACK, text, now=work.services.now)


async def wait_and_revoke_grants(work: StepContext) -> bool:
    """Revoke every grant that the job ever made, once no write is in flight.

    Return whether an invocation was interrupted. If none was, revokes nothing. Raises `MustWait`
    while a write is in flight.
    """
    settles_at = work.job.in_flight_until
    if settles_at is None:
        return False
    if work.job.has_write_in_flight(work.services.now):
        text = (
            "An invocation of this job did not complete. The app waits until none of its writes "
            "can follow."
        )
        raise MustWait(text, until=settles_at, code=Reason.WRITE_IN_FLIGHT)
    for name in work.job.grants.past:
        await revoke_grant(work, name)
    # Several may have been suspended, each soon after the one before.
    await report_stale_writes(work, since=settles_at - 3 * work.services.settings.in_flight_timeout)
    await work.save(replace(work.job, in_flight_until=None))
    return True


async def _mark_callers_with_copy_again(work: StepContext) -> list[str]:
    log, found = await CallerEditLog.open(work), []
    for record in await work.callers.read_all():
        is_back = record.state is CallerState.REVERTED and log.list_active_edits(record)
        if is_back and await holds_copy(work.services, work.job, record.caller):
            await work.callers.upsert(replace(record, state=CallerState.WRITING))
            found.append(record.caller.label)
    return found


async def _find_turned_off_original(work: StepContext) -> list[str]:
    job = work.job
    if not job.original.was_on or (await read_original(work)).is_on:
        return []
    return [f"the original {job.display_name}"]
