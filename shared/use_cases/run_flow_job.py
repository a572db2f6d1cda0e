"""Run the steps of a flow job that are due, and tell those who may have waited for it."""

from collections.abc import Awaitable, Callable

from shared.domain.environment import Environment
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import CutoverFailure, FlowJob, JobCommand, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state, wait_until
from shared.errors import (
    CmkflowError,
    Conflict,
    InternalErrorRepeated,
    JobBlocked,
    MustWait,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    TransientError,
)
from shared.jobs.error_handling import apply_error
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.copying import copy_flow, verify_copy
from shared.steps.copying.explain_platform_error import explain_refusal
from shared.steps.copying.microsoft_key_list import wait_for_key_list
from shared.steps.flows.read_back import WriteNotVisible, next_poll_delay
from shared.steps.flows.temporary_co_ownership import check_returned, revoke_all_grants
from shared.steps.preparing import prepare_original
from shared.steps.retiring import cut_over, retire_original
from shared.steps.rolling_back import roll_back
from shared.steps.rolling_back.final_check import wait_and_revoke
from shared.steps.step_context import StepContext
from shared.steps.updating_callers import update_callers
from shared.steps.updating_callers.batch_caller_writes import wake_who_waits
from shared.steps.write_permission import (
    require_environment_without_key,
    require_linked_environment,
)

type Step = Callable[[StepContext], Awaitable[FlowJob]]


async def _begin(work: StepContext) -> FlowJob:
    has_copy = work.job.pattern.has_copy
    return await (
        copy_flow.check_and_start_copy(work) if has_copy else prepare_original.begin(work)
    )


async def _after_proof(work: StepContext) -> FlowJob:
    is_swap = work.job.pattern is MigrationMethod.CUT_OVER
    return await (cut_over.start_cutover(work) if is_swap else update_callers.begin(work))


async def _undo(work: StepContext) -> FlowJob:
    if work.job.pattern.has_copy:
        return await roll_back.roll_back(work)
    await wait_and_revoke(work)  # an original that reads as it was may still be converted
    return await prepare_original.undo(work)


async def _after_watch(work: StepContext) -> FlowJob:
    await cut_over.wait_for_monitoring_period(work)
    return await retire_original.retire(work)


STEPS: dict[FlowJobState, Step] = {
    FlowJobState.PLANNED: _begin,
    FlowJobState.PREPARING: prepare_original.prepare,
    FlowJobState.COPYING: copy_flow.create_copy,
    FlowJobState.COPIED: verify_copy.verify_copy,
    FlowJobState.VERIFIED: _after_proof,
    FlowJobState.UPDATING_CALLERS: update_callers.update,
    FlowJobState.CHECKING_FOR_CALLS: retire_original.retire_when_quiet,
    FlowJobState.CUTTING_OVER: cut_over.cut_over,
    FlowJobState.MONITORING: _after_watch,
    FlowJobState.ROLLING_BACK: _undo,
}

#: A delivery goes on from one to a later one: what it has read just now, trigger URLs above all, is
#: not read again. (Flows are prepared in batches, and a rollback waits for others: step by step.)
_IN_ORDER = (
    FlowJobState.PLANNED,
    FlowJobState.COPYING,
    FlowJobState.COPIED,
    FlowJobState.VERIFIED,
    FlowJobState.UPDATING_CALLERS,
    FlowJobState.CUTTING_OVER,
    FlowJobState.CHECKING_FOR_CALLS,
    FlowJobState.MONITORING,
)


async def run_flow_job_step(services: Services, environment_id: str, job_id: str) -> str:
    """Look at a job's row and do what is due. Returns the state it is in, for the log.

    Raises `NotFound` if there is no such row; any other exception is a defect of ours.
    """
    place = (environment_id, job_id)
    before, after = await FLOW.deliver(
        services,
        place,
        _step,
        outcome=_outcome,
        waits=_waits,
        begun=lambda job: _begun(job, services),
    )
    await _tell_others(services, before, after)
    return after.state


async def _waits(services: Services, job: FlowJob) -> None:
    """Raise `MustWait` for what a proof waits for, unless something else is to be done first.

    Who stands in the line for calls has waited for it, and stays there.
    """
    is_proof = job.reached is FlowJobState.COPIED and not job.requested and not job.has_grants
    if is_proof and job.code != Reason.THROTTLED:
        await wait_for_key_list(services, job)


async def _step(held: LeasedJob[FlowJob]) -> FlowJob:
    """Obey what is ordered, and do what is due, step after step while nothing is to wait for.

    What a step leads to is written before the next one writes to the platform.
    """
    services = held.services
    job = _obey(held.job, services)
    if job.is_inactive:
        return await _leave(held, job)
    work = StepContext(held, await _environment_of(held, job))
    try:
        is_settled = job.in_flight_until is not None and job.in_flight_until <= services.now
        if is_settled and not job.is_rolling_back and job.both_off_since is None:
            await wait_and_revoke(work)
        if job.both_off_since is None:
            await check_returned(work)
        until = services.now + services.settings.invocation_time_limit
        job = await _one(work)
        while services.now < until and _goes_on(work.job, job):
            job = await work.save(job) if _moves_others(job) else work.remember(job)
            if job.requested:
                break
            await _waits(services, job)
            job = await _one(work)
    except CmkflowError as err:
        stands = await _step_back(work, err)
        if stands is err:
            raise
        raise stands from err
    return job


async def _one(work: StepContext) -> FlowJob:
    """Do one step, and return what was borrowed for it."""
    job = await STEPS[work.job.reached](work)
    await revoke_all_grants(work)
    now = work.job
    return replace(
        job,
        active_grants=now.active_grants,
        returned=now.returned,
        returned_at=now.returned_at,
        unconfirmed_write=None,
    )


def _goes_on(before: FlowJob, after: FlowJob) -> bool:
    """Say whether a step has led to a later one, for which nothing has to be waited."""
    if not {before.reached, after.state} <= set(_IN_ORDER):
        return False
    return _IN_ORDER.index(before.reached) < _IN_ORDER.index(after.state)


def _moves_others(job: FlowJob) -> bool:
    """Say whether the step that is due changes more than the copy: an order comes before it."""
    return job.state in {FlowJobState.UPDATING_CALLERS, FlowJobState.CUTTING_OVER}


async def _leave(held: LeasedJob[FlowJob], job: FlowJob) -> FlowJob:
    """Return a job that is cancelled before anything was written, but for a flow borrowed."""
    if held.job.past_grants:
        home = held.job.environment_id
        work = StepContext(
            held, await require_environment_without_key(held.services, home, even_linked=True)
        )
        await wait_and_revoke(work)
        await revoke_all_grants(work)
    return replace(job, active_grants=(), in_flight_until=None)


async def _environment_of(held: LeasedJob[FlowJob], job: FlowJob) -> Environment:
    services = held.services
    if job.policy_id:
        try:
            return await require_linked_environment(services, job.environment_id, job.policy_id)
        except MustWait as err:
            if job.both_off_since is None:
                raise
            # What was on comes back on wherever the environment goes.
            if not job.is_rolling_back and job.cutover_failure is None:
                await held.save(replace(job, cutover_failure=CutoverFailure(reason=err.reason)))
            return await services.environments.get(job.environment_id)
    return await require_environment_without_key(
        services, job.environment_id, even_linked=job.is_rolling_back
    )


async def _step_back(work: StepContext, err: CmkflowError) -> CmkflowError:
    """Return what was borrowed before a job stands still; a service that is busy says when."""
    if isinstance(err, TransientError | Conflict):
        return err
    if isinstance(err, PlatformError | NotFound):
        err = await explain_refusal(work, err)
    try:
        await revoke_all_grants(work)
    except (MustWait, PlatformMigrationInProgress, JobBlocked, PlatformError):
        return err  # nothing may be written now: the delivery that goes on returns it
    except TransientError as busy:
        return busy
    return err


def _begun(job: FlowJob, services: Services) -> FlowJob:
    """Return the row of a delivery that begins: what has ended has no step to wait for."""
    obedient = _obey(job, services)
    return job if obedient.is_inactive else obedient


def _obey(job: FlowJob, services: Services) -> FlowJob:
    """Turn an administrator's order into the state that carries it out."""
    if job.requested is None or job.is_rolling_back:
        # What people were told of stands until one of the two flows is on.
        code = job.code if job.both_off_since else ""
        return replace(
            job, state=job.reached, resume_state=None, reason="", instruction="", code=code
        )
    if not job.state_properties.can_roll_back:
        return move_to_state(
            job, FlowJobState.CANCELLED, "Cancelled before it began.", now=services.now
        )
    text = (
        "Rolled back by order."
        if job.requested is JobCommand.ROLL_BACK
        else "Cancelled: rolled back."
    )
    return move_to_state(
        replace(job, cutover_failure=None), FlowJobState.ROLLING_BACK, text, now=services.now
    )


def _outcome(services: Services, job: FlowJob, err: Exception) -> FlowJob | None:
    """Return the row after an error; while neither flow of a pair may be on, it goes on."""
    after = apply_error(services, job, err)
    if after is None:
        return None
    if job.both_off_since:
        return _until_one_is_on(services, job, after, err)
    if after.due is not None:
        return _no_later_than_loans(services, after)
    if not isinstance(err, TransientError | InternalErrorRepeated):
        return after
    return replace(after, reason=f"{job.display_name}: {after.reason}")


def _no_later_than_loans(services: Services, job: FlowJob) -> FlowJob:
    """Return the row due when its loans are to be looked at, if not before: it may wait for days.

    Those that could not be returned soon; what a frozen delivery may have lent once nothing more
    can come of that. (A rollback looks for it at its end.)
    """
    now, looks = services.now, [job.due] if job.due else []
    if job.active_grants:
        looks.append(now + services.settings.backoff_max_delay)
    if (
        job.past_grants
        and job.in_flight_until
        and job.in_flight_until > now
        and not job.is_rolling_back
    ):
        looks.append(job.in_flight_until)
    return replace(job, due=min(looks))


def _until_one_is_on(services: Services, job: FlowJob, after: FlowJob, err: Exception) -> FlowJob:
    """Return the row of a pair of which one has to come on, and tell where that takes long."""
    since, now = job.both_off_since or services.now, services.now
    is_late = now - since >= services.settings.read_back_timeout
    if job.cutover_failure is None and not job.is_rolling_back and (after.due is None or is_late):
        job = replace(job, cutover_failure=_failure(after, err))
    is_accepted = isinstance(err, WriteNotVisible) and err.is_shown
    is_told = is_late or after.due is None or isinstance(err, PlatformMigrationInProgress)
    if after.code == Reason.BOTH_OFF or is_accepted or not is_told:
        return replace(after, cutover_failure=job.cutover_failure) if after.due else after
    soon = now + next_poll_delay(services, since)
    instruction = f"Turn {job.display_name} on in Power Automate. {after.instruction}"
    later = wait_until(
        job,
        f"Original and copy are both off since {since:%Y-%m-%d %H:%M} UTC: "
        f"{job.display_name}, its copy."
        f" {after.reason}",
        until=min(after.due or soon, soon),
        now=now,
        code=Reason.BOTH_OFF,
    )
    return replace(
        later, instruction=instruction.strip(), consecutive_failures=after.consecutive_failures
    )


def _failure(after: FlowJob, err: Exception) -> CutoverFailure:
    """Return why the swap failed; without a code it begins anew once its original is on.

    Else it would go the same way again at once, and each time both are off for minutes.
    """
    reason = after.reason
    if after.due is None:
        return CutoverFailure(reason=reason, instruction=after.instruction, code=after.code)
    if after.code in {Reason.SERVICE_OUTAGE, Reason.PLATFORM_MIGRATION_RUNNING}:
        return CutoverFailure(reason=reason)
    code = (
        Reason.WRITE_NOT_VISIBLE
        if isinstance(err, WriteNotVisible)
        else Reason.FLOW_STATE_NOT_CHANGED
    )
    return CutoverFailure(
        reason=reason, instruction=Reason.WRITE_NOT_VISIBLE.instruction, code=code
    )


async def _tell_others(services: Services, before: FlowJob, after: FlowJob) -> None:
    """Wake the jobs that may have waited for this one."""
    await wake_who_waits(services, before, after)
    if after.has_original_restored and not before.has_original_restored:
        for parent in after.parents:
            place = parse_job_reference(parent, after.environment_id)
            await FLOW.wake_up(services, place, code=Reason.CHILD_FLOW_NOT_READY, even_blocked=True)
    if after.code == Reason.PARENT_FLOW_NOT_READY != before.code:
        # Each of two that call one another waits for the other: neither saw the other wait.
        for parent in set(after.parents).intersection(after.waiting_job_ids):
            await FLOW.wake_up(
                services,
                parse_job_reference(parent, after.environment_id),
                code=Reason.PARENT_FLOW_NOT_READY,
            )
    if (after.state, after.reached) == (before.state, before.reached):
        return
    # A job that is stuck is told of too: whoever waits for it has to say so instead of waiting on.
    is_proven = after.is_verified and not before.is_verified
    if is_proven or (after.is_inactive and not after.is_verified):
        for parent in after.parents:
            place = parse_job_reference(parent, after.environment_id)
            await FLOW.wake_up(
                services, place, code=Reason.CHILD_FLOW_NOT_READY, even_blocked=is_proven
            )
    if after.is_inactive:
        for child in dict.fromkeys((*after.children, *after.waiting_job_ids)):
            place = parse_job_reference(child, after.environment_id)
            await FLOW.wake_up(
                services,
                place,
                code=Reason.PARENT_FLOW_NOT_READY,
                even_blocked=not after.needs_action,
            )
        await _tell_environment(services, after)


async def _tell_environment(services: Services, job: FlowJob) -> None:
    """Wake the environment job if this may have been the last of its flow jobs."""
    place = (job.remediation_id, job.environment_job_id)
    kept = await services.tables.environment_jobs.get(*place)
    # One that is held is choosing the job that it waits for at this moment.
    if kept and (kept.item.is_leased(services.now) or kept.item.watched_job_id in {"", job.id}):
        await ENVIRONMENT.wake_up(services, place)
