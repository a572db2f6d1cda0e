"""Roll a job back: turn the original on, revert its callers, wait until the copy receives no calls,
and turn the copy off.

Dependent flows are rolled back together, in the order of rollback_sequence.py.
"""

from dataclasses import replace
from datetime import timedelta

from shared.domain.callers.caller_records import CallerState
from shared.domain.display_names import build_copy_name, build_retired_name
from shared.domain.flow import RUN_HISTORY, FlowState
from shared.domain.jobs.backlog_replay import describe_replays, find_replay
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod, Observation, RollbackStage
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.jobs.transitions import add_notes, move_to_state
from shared.errors import JobBlocked, MustWait, NotFound
from shared.reason import Reason
from shared.steps.copying.turn_copy_on_or_off import toggle_copy
from shared.steps.flows.original import read_original
from shared.steps.flows.runs_in_progress import require_no_run_in_progress
from shared.steps.flows.toggle_flow import rename_flow, toggle_original
from shared.steps.retiring.check_for_calls import (
    CallingFlow,
    read_recorded_calling_flows,
    wait_for_runs,
)
from shared.steps.retiring.check_notification_channels import require_no_own_channel
from shared.steps.retiring.check_restart import require_restart_possible
from shared.steps.retiring.cutover_toggle import (
    are_both_off,
    build_copy_side,
    build_original_side,
    toggle_pair,
)
from shared.steps.rolling_back.final_check import (
    repeat_rollback_if_callers_changed,
    repeat_rollback_if_changed,
)
from shared.steps.rolling_back.restore_original import restore_original
from shared.steps.rolling_back.revert_callers import require_manual_callers_reverted, revert_callers
from shared.steps.rolling_back.rollback_sequence import (
    wait_for_children,
    wait_for_flows_called_by_url,
    wait_for_parents,
)
from shared.steps.step_context import StepContext

#: From these states an original is retired, and renamed.
_MAY_RENAME = frozenset(state for state, facts in FLOW_STATES.items() if facts.is_past_cutover)


async def run_rollback_stage(work: StepContext) -> FlowJob:
    """Do the next stage of the rollback.

    The engine calls this again until the job is rolled back.
    """
    stages = {
        None: _turn_original_on,
        RollbackStage.TURN_ON_ORIGINAL: _turn_original_on,
        RollbackStage.REVERT_CALLERS: _revert_callers_and_move_on,
        RollbackStage.CHECK_COPY_FOR_CALLS: _wait_for_no_copy_calls,
        RollbackStage.TURN_OFF_COPY: _turn_copy_off,
    }
    return await stages[work.job.rollback_stage](work)


async def _turn_original_on(work: StepContext) -> FlowJob:
    is_both_off = await are_both_off(work.services, work.environment, work.job)
    if work.job.both_off_since or is_both_off:
        await _turn_copy_off_and_original_on(work)  # the waits below may take days
    if unrestorable := await restore_original(work):
        return unrestorable
    await wait_for_children(work)
    job = work.job
    await wait_for_flows_called_by_url(work, includes_call_loop=False)
    await _record_accepted_replay(work)
    if job.migration_method is MigrationMethod.CUT_OVER:
        await _turn_copy_off_and_original_on(work)
    elif job.original.was_on:
        await toggle_original(work, on=True)
    if job.original.in_solution and work.environment.dataverse_url:
        original = await read_original(work)
        if original.etag and not original.is_managed:
            title = job.display_name
            is_renamed = any(change.state in _MAY_RENAME for change in job.history)
            anew = is_renamed and build_retired_name(title) != title
            await rename_flow(work, job.original.id, title, seen=original, anew=anew)
    return _move_to_stage(work, RollbackStage.REVERT_CALLERS, "The original is restored.")


async def _turn_copy_off_and_original_on(work: StepContext) -> None:
    """Turn the copy off and the original on.

    Raises `JobBlocked` if the copy was turned on again instead.
    """
    copy, original = build_copy_side(work), build_original_side(work)
    if work.job.has_turned_both_off and work.job.both_off_since is None:
        # A read may have shown that one is on, but no write of this job has turned one on.
        await work.save(replace(work.job, both_off_since=work.services.now))
    is_back = work.job.both_off_since is None and await original.is_on()
    if not work.job.original.was_on or is_back:
        await copy.turn_off()
        await work.save(replace(work.job, both_off_since=None, cutover_failure=None))
        return
    if work.job.both_off_since is None and await copy.is_on():
        await require_restart_possible(work, await read_original(work))
    if failure := await toggle_pair(work, off=copy, on=original):
        await work.save(replace(work.job, cutover_failure=None))
        raise JobBlocked(failure.message, fix=failure.fix, code=failure.reason_code)


async def _record_accepted_replay(work: StepContext) -> None:
    """Add a note about the events that the original will replay.

    Raises `JobBlocked` if a requested rollback would replay events and nobody has accepted that.
    """
    job, now = work.job, work.services.now
    replay = find_replay(job)
    if replay is None:
        return
    if job.requested_command and not job.accepts_replay:
        raise JobBlocked(
            describe_replays([replay], now),
            fix='Request the rollback again with "accept_replay": true (--accept-replay).',
            code=Reason.BACKLOG_REPLAY,
        )
    await work.save(add_notes(job, f"Processes its backlog again: {replay.format_message(now)}."))


async def _revert_callers_and_move_on(work: StepContext) -> FlowJob:
    await wait_for_flows_called_by_url(work, includes_call_loop=True)
    services = work.services
    changed = await revert_callers(work)
    if changed or work.job.observation.started_at:
        # From now on the copy must receive no calls, instead of the original.
        kinds = {record.caller.kind for record in changed}
        stale = max(
            (services.callers[kind].old_value_lifetime for kind in kinds), default=timedelta(0)
        )
        observation = Observation(started_at=services.now, no_call_period=stale or None)
        await work.save(replace(work.job, observation=observation))
    return _move_to_stage(work, RollbackStage.CHECK_COPY_FOR_CALLS, "Every caller is reverted.")


async def _wait_for_no_copy_calls(work: StepContext) -> FlowJob:
    job = work.job
    is_called = job.migration_method is MigrationMethod.UPDATE_CALLERS and bool(job.copy.flow_name)
    if is_called:
        require_no_own_channel(work)
        try:
            await _require_no_run_of_copy(work)
        except MustWait as err:
            is_late = err.code == Reason.NO_CALL_PERIOD and _is_past_no_call_period(work)
            if is_late and (repeated := await repeat_rollback_if_callers_changed(work)):
                return repeated
            raise
        await require_manual_callers_reverted(work)
    await wait_for_parents(work)
    if is_called:
        await _wait_for_runs_of_callers(work)
    return _move_to_stage(work, RollbackStage.TURN_OFF_COPY, "The copy receives no calls.")


def _is_past_no_call_period(work: StepContext) -> bool:
    began = work.job.observation.started_at
    return began is not None and began + work.services.settings.no_call_period <= work.services.now


async def _require_no_run_of_copy(work: StepContext) -> None:
    job, services = work.job, work.services
    try:
        runs = await services.flow_reports.read_runs(
            job.environment_id, job.copy.flow_name, since=services.now - RUN_HISTORY
        )
    except NotFound:
        return
    called_at = [run.started_at for run in runs if run.is_answered_call]
    if job.observation.started_at:
        called_at.append(job.observation.started_at)
    period = job.observation.extend_period(services.settings.no_call_period)
    until = max(called_at, default=services.now - period) + period
    if until > services.now:
        raise MustWait(
            "The copy must receive no calls before it is turned off.",
            until=until,
            code=Reason.NO_CALL_PERIOD,
        )
    require_no_run_in_progress(services, runs, "A run of the copy is in progress.")


async def _wait_for_runs_of_callers(work: StepContext) -> None:
    copies = [
        CallingFlow(
            id=one.id,
            environment_id=one.environment_id,
            flow_name=one.copy.flow_name,
            began_by=work.services.now,
        )
        for one in await work.read_related_jobs(work.job.parents)
        if one.copy.flow_name
    ]
    await wait_for_runs(
        work, [*copies, *await read_recorded_calling_flows(work, CallerState.REVERTED)]
    )


async def _turn_copy_off(work: StepContext) -> FlowJob:
    if repeated := await repeat_rollback_if_changed(work):
        return repeated
    is_left = await _turn_copy_off_and_rename(work)
    job = replace(
        work.job,
        requested_command=None,
        observation=replace(work.job.observation, started_at=None),
        rollback_stage=None,
        copy=replace(work.job.copy, is_kept_off=is_left),
    )
    left = "the copy is off" if is_left else "there is no copy"
    text = f"Rolled back: the original works as before and {left}."
    return move_to_state(job, FlowJobState.ROLLED_BACK, text, now=work.services.now)


async def _turn_copy_off_and_rename(work: StepContext) -> bool:
    """Turn the copy off under its name as a copy. Return False if it does not exist."""
    try:
        await toggle_copy(work, FlowState.OFF)
        await rename_flow(work, work.job.copy.id, build_copy_name(work.job.display_name))
    except NotFound:
        return False
    return True


def _move_to_stage(work: StepContext, stage: RollbackStage, text: str) -> FlowJob:
    job = replace(work.job, rollback_stage=stage)
    return move_to_state(job, FlowJobState.ROLLING_BACK, text, now=work.services.now)
