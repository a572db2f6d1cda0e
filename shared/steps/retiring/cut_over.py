"""Cut a self-starting flow over: the original is turned off before the copy is turned on."""

from dataclasses import replace

from shared.domain.durations import format_duration
from shared.domain.jobs.flow_job import CutoverFailure, FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.errors import JobBlocked, MustWait
from shared.reason import Reason
from shared.steps.flows.original import read_original
from shared.steps.flows.read_original_facts import require_unchanged_original
from shared.steps.retiring.check_restart import require_restart_possible
from shared.steps.retiring.cutover_toggle import build_copy_side, build_original_side, toggle_pair
from shared.steps.step_context import StepContext


async def start_cutover(work: StepContext) -> FlowJob:
    """Return the job in state cutting over.

    If somebody turned the original off since it was copied, returns a job whose copy stays off.
    Raises `JobBlocked` if the original was edited, or if one of the flows could not be turned on.
    """
    original = await read_original(work)
    if not original.is_on and work.job.has_turned_both_off:
        return _move_to_turning_original_on(work)
    await require_unchanged_original(work, original)
    if not original.is_on:
        job = replace(
            work.job,
            migration_method=MigrationMethod.COPY_OFF,
            original=replace(work.job.original, was_on=False),
        )
        text = "The original was turned off after it was copied. Its copy stays off."
        return move_to_state(job, FlowJobState.CHECKING_FOR_CALLS, text, now=work.services.now)
    await work.require_write_allowed()
    copy = await work.services.workflows.get(work.environment, work.job.copy.id)
    await require_restart_possible(work, original, copy)
    text = "The app is turning the original off, then the copy on."
    return move_to_state(work.job, FlowJobState.CUTTING_OVER, text, now=work.services.now)


def _move_to_turning_original_on(work: StepContext) -> FlowJob:
    text = "This job has turned the original off. The app is turning it on again."
    now = work.services.now
    job = replace(work.job, both_off_since=now, cutover_failure=CutoverFailure(message=text))
    return move_to_state(job, FlowJobState.CUTTING_OVER, text, now=now)


async def cut_over(work: StepContext) -> FlowJob:
    """Turn the original off and the copy on.

    If the copy cannot be turned on, turn the original on again.
    """
    began = work.job.both_off_since or work.services.now
    failure = await toggle_pair(work, off=build_original_side(work), on=build_copy_side(work))
    if failure:
        return await _move_back_to_verified(work, failure)
    now = work.services.now
    observation = replace(work.job.observation, started_at=now)
    job = replace(work.job, both_off_duration=now - began, observation=observation)
    text = f"The copy is on. Both flows were off for {format_duration(now - began)}."
    return move_to_state(job, FlowJobState.MONITORING, text, now=now)


async def _move_back_to_verified(work: StepContext, failure: CutoverFailure) -> FlowJob:
    text = f"The cutover failed, and the original is on again: {failure.message}"
    job = move_to_state(
        replace(work.job, cutover_failure=None), FlowJobState.VERIFIED, text, now=work.services.now
    )
    if not failure.reason_code:
        return job
    await work.save(job)
    raise JobBlocked(failure.message, fix=failure.fix, code=failure.reason_code)


async def wait_for_monitoring_period(work: StepContext) -> None:
    """Raise `MustWait` until the copy has been on for the monitoring period."""
    began = work.job.observation.started_at or work.services.now
    until = began + work.services.settings.monitoring_period
    if until > work.services.now:
        raise MustWait(
            "The app is observing the copy before it retires the original.",
            until=until,
            code=Reason.MONITORING_PERIOD,
        )
