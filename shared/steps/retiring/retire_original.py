"""Retire an original: turn it off, rename it, and give its name to the copy."""

from shared.concurrency import run_concurrently
from shared.domain.definitions.comparison import hash_definition
from shared.domain.display_names import build_retired_name
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state
from shared.domain.sharing import DataverseUser
from shared.errors import JobBlocked
from shared.settings import OnOriginalEdited
from shared.steps.copying.add_copy_to_solutions import add_copy_to_solutions
from shared.steps.copying.share_copy import share_copy
from shared.steps.copying.solutions_and_shares import read_original_with_solutions_and_shares
from shared.steps.flows.blocked_calls import require_no_blocked_calls
from shared.steps.flows.original import OriginalFlow, read_original
from shared.steps.flows.read_original_facts import require_unchanged_original
from shared.steps.flows.require_healthy_copy import find_copy, require_healthy_copy
from shared.steps.flows.toggle_flow import rename_flow, toggle_original
from shared.steps.retiring.check_for_calls import wait_for_no_calls
from shared.steps.retiring.check_notification_channels import require_no_own_channel
from shared.steps.retiring.check_restart import require_restart_possible
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.record_callers import has_callers_left


async def retire_without_calls(work: StepContext) -> FlowJob:
    """Retire an original that callers start, once it receives no calls.

    If callers have to be updated first, or the original has to be copied again, returns a job that
    does so.
    """
    if work.job.migration_method is not MigrationMethod.COPY_OFF:
        require_no_own_channel(work)  # first, because its notifications are calls of the original
    await wait_for_no_calls(work)
    if work.job.migration_method is not MigrationMethod.COPY_OFF:
        try:
            is_left = await has_callers_left(work)
        except JobBlocked:
            # An edit may let the copy answer Event Grid, so that the app can update the caller.
            original = await read_original(work)
            if again := _copy_again_if_edited(work, original):
                return again
            await require_unchanged_original(work, original)
            raise
        if is_left:
            text = (
                "A caller refers to the original again, or was found since. The app is "
                "updating it first."
            )
            return move_to_state(
                work.job, FlowJobState.UPDATING_CALLERS, text, now=work.services.now
            )
    return await retire_original(work)


async def retire_original(work: StepContext) -> FlowJob:
    """Turn the original off and rename it and its copy.

    First shares the copy with the principals that the original has gained since it was copied. If
    the original was edited, raises `JobBlocked`, or returns a job that copies it again if the
    settings say so. If an original that was off is on now, returns a job that turns its copy on
    too.
    """
    job = work.job
    async with run_concurrently() as reads:
        looked = reads.create_task(read_original_with_solutions_and_shares(work))
        found = reads.create_task(find_copy(work))
        owner = reads.create_task(_read_probable_owner(work))
    original, belonging = looked.result()
    if original.is_on and job.migration_method is MigrationMethod.COPY_OFF:
        return _move_to_copying(
            work,
            "The original was turned on after it was copied. The app will turn its copy on too.",
        )
    if again := _copy_again_if_edited(work, original):
        return again
    await require_unchanged_original(work, original)
    copy = require_healthy_copy(work.job, found.result())
    if job.migration_method is not MigrationMethod.COPY_OFF:
        await require_no_blocked_calls(work)
    if original.is_on:
        await require_restart_possible(work, original, owner=owner.result())
    await add_copy_to_solutions(work, belonging)
    work.stage(await share_copy(work, original, belonging))
    title = work.job.display_name
    has_name = work.job.original.in_solution and original.etag and not original.is_managed
    name = build_retired_name(title) if has_name else None
    original = await toggle_original(work, on=False, seen=original, name=name)
    if name:
        await rename_flow(work, work.job.original.id, name, seen=original)
    await rename_flow(work, work.job.copy.id, title, seen=copy)
    text = "The original is off and the copy has its name."
    return move_to_state(work.job, FlowJobState.RETIRED, text, now=work.services.now)


async def _read_probable_owner(work: StepContext) -> DataverseUser | None:
    """Return the owner from when the original was copied, or None if no check needs the owner."""
    job = work.job
    if not job.original.in_solution or job.migration_method is not MigrationMethod.UPDATE_CALLERS:
        return None
    return await work.services.principals.read_user(work.environment, job.copy.owner_id)


def _copy_again_if_edited(work: StepContext, original: OriginalFlow) -> FlowJob | None:
    job = work.job
    is_edited = job.original.digest not in {"", hash_definition(original.client_data)}
    is_copied_again = work.services.settings.on_original_edited is OnOriginalEdited.COPY_AGAIN
    if not is_edited or not is_copied_again or job.migration_method is MigrationMethod.CUT_OVER:
        return None
    work.stage(replace(job, original=replace(job.original, digest="")))
    text = "The original was edited after it was copied. The app is copying it again."
    return _move_to_copying(work, text)


def _move_to_copying(work: StepContext, text: str) -> FlowJob:
    return move_to_state(work.job, FlowJobState.COPYING, text, now=work.services.now)
