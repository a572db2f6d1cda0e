"""What a delivery that did not end may still have changed: looked for before a rollback ends.

Such a delivery is frozen, or a write of it is under way. Nothing more comes of it once its bound
has passed (`DurableJob.settles_at`); until then the copy stays on for whoever is sent to it.
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


async def check_rollback_result(work: StepContext) -> FlowJob | None:
    """Return None if all is as the rollback left it, else the job where it is mended.

    Raises `MustWait` until nothing is under way any more.
    """
    had_open_deliveries = await wait_and_revoke(work)
    # Also by another job's: whoever writes an app's settings writes all of them.
    found = await _callers_moved_again(work)
    if had_open_deliveries:
        found += await _original_off(work)
    return _mended(work, found)


async def callers_moved_again(work: StepContext) -> FlowJob | None:
    """Return None if every caller is as the rollback left it, else the job where it is mended."""
    return _mended(work, await _callers_moved_again(work))


def _mended(work: StepContext, found: list[str]) -> FlowJob | None:
    if not found:
        return None
    job = replace(work.job, rollback_stage=RollbackStage.TURN_ON_ORIGINAL)
    text = f"Changed by a delivery that had not ended, and put back again: {', '.join(found)}."
    return move_to_state(job, FlowJobState.ROLLING_BACK, text, now=work.services.now)


async def wait_and_revoke(work: StepContext) -> bool:
    """Wait until nothing is under way any more, then leave every flow that was ever borrowed.

    Says whether a delivery had not ended; raises `MustWait`.
    """
    settles_at = work.job.in_flight_until
    if settles_at is None:
        return False
    if work.job.has_write_in_flight(work.services.now):
        text = "A delivery of this job did not end: what it may still write is waited for."
        raise MustWait(text, until=settles_at, code=Reason.WRITE_IN_FLIGHT)
    for name in work.job.past_grants:
        await revoke_grant(work, name)
    # Several may have been frozen, each soon after the one before.
    await report_stale_writes(work, since=settles_at - 3 * work.services.settings.in_flight_timeout)
    await work.save(replace(work.job, in_flight_until=None))
    return True


async def _callers_moved_again(work: StepContext) -> list[str]:
    log, found = await CallerEditLog.open(work), []
    for record in await work.callers.all():
        is_back = record.state is CallerState.REVERTED and log.edits(record)
        if is_back and await holds_copy(work.services, work.job, record.caller):
            await work.callers.upsert(replace(record, state=CallerState.WRITING))
            found.append(record.caller.label)
    return found


async def _original_off(work: StepContext) -> list[str]:
    job = work.job
    if not job.original_was_on or (await read_original(work)).is_on:
        return []
    return [f"the original {job.display_name}"]
