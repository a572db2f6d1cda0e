"""Restore a deleted original before its job is rolled back, if that is still possible."""

from dataclasses import replace
from functools import partial

from shared.domain.jobs.deletion import Deletion, mark_cancelled
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.errors import JobBlocked, MustWait, NotFound
from shared.reason import Reason
from shared.state.rows import StoredItem
from shared.steps.flows.effect import Refusal, Reply, Write, perform
from shared.steps.flows.original import find_original
from shared.steps.step_context import StepContext


async def restore_original(work: StepContext) -> FlowJob | None:
    """Restore the original if the app deleted it.

    Return None once the original exists, or the job, retired again, if it can no longer be
    restored. The app can restore a flow outside solutions (platform.md#flow-state). Raises
    `JobBlocked` with the last day if only a person can restore it, and `MustWait` while the
    platform does not show it.
    """
    job, services = work.job, work.services
    kept = await services.tables.deletions.get(job.environment_id, job.id)
    if kept is None or not kept.item.state_properties.may_be_deleted:
        return None
    if job.in_flight_until and job.has_write_in_flight(services.now):
        # A delete may be in flight, and the flow service's delete checks no version.
        text = "A delete of the original may be in flight."
        raise MustWait(text, until=job.in_flight_until, code=Reason.WRITE_IN_FLIGHT)
    if await find_original(services, work.environment, job):
        await _cancel_deletion(work, kept)
        return None
    until = kept.item.restorable_until
    if until and until <= services.now:
        text = (
            "Not rolled back: the original can no longer be restored. The last day was "
            f"{until:%Y-%m-%d}."
        )
        job = replace(job, requested_command=None, rollback_stage=None)
        return move_to_state(
            job, FlowJobState.RETIRED, f"{text} The copy stays on.", now=services.now
        )
    if not job.original.in_solution:
        deletion = kept.item

        async def handle_error(err: Refusal) -> Reply:
            return _build_manual_restore(job, deletion) if isinstance(err, NotFound) else None

        restore = partial(services.flow_switch.restore, job.environment_id, job.original.flow_name)
        write = Write(
            permit=work.require_write_allowed,
            call=restore,
            on_refusal=handle_error,
            wait=services.request_budget.wait_for_requests,
        )
        await perform(write)
        if await find_original(services, work.environment, job):
            await _cancel_deletion(work, kept)
            return None
        reason = (
            "The platform accepted the request to restore the original, but does not show it yet."
        )
        raise MustWait(
            reason,
            until=services.now + services.settings.wait_poll_interval,
            code=Reason.WRITE_NOT_VISIBLE,
        )
    raise _build_manual_restore(job, kept.item)


async def _cancel_deletion(work: StepContext, kept: StoredItem[Deletion]) -> None:
    text = "The original was restored, because its job is rolled back."
    row = mark_cancelled(kept.item, text, now=work.services.now)
    await work.services.tables.deletions.replace(kept, row)


def _build_manual_restore(job: FlowJob, deletion: Deletion) -> JobBlocked:
    until = deletion.restorable_until
    last = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "within 21 days of its delete"
    return JobBlocked(
        f"The original {job.display_name} was deleted, as approved by {deletion.approved_by}.",
        fix=(
            f"Restore flow {job.original.flow_name} in Power Automate, or with POST …/restore of "
            f"the flow service, {last}. Then retry. Until then the copy stays on."
        ),
        code=Reason.ORIGINAL_ALREADY_DELETED,
    )
