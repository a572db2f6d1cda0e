"""Run the due steps of a flow job, and wake up jobs that may wait for it."""

from collections.abc import Awaitable, Callable, Iterable

from shared.domain.environment import Environment
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import CutoverFailure, FlowJob, JobCommand, MigrationMethod
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
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
from shared.steps.copying.explain_platform_error import explain_rejection
from shared.steps.copying.microsoft_key_list import wait_for_key_list
from shared.steps.flows.read_back import WriteNotVisible, compute_next_poll_delay
from shared.steps.flows.temporary_co_ownership import revoke_all_grants, revoke_remaining_grants
from shared.steps.preparing import prepare_original
from shared.steps.retiring import cut_over, retire_original
from shared.steps.rolling_back import roll_back
from shared.steps.rolling_back.final_check import wait_and_revoke_grants
from shared.steps.step_context import StepContext
from shared.steps.updating_callers import update_callers
from shared.steps.updating_callers.batch_caller_writes import wake_waiting_jobs
from shared.steps.write_permission import (
    require_environment_without_key,
    require_linked_environment,
)

type Step = Callable[[StepContext], Awaitable[FlowJob]]


async def _start_copy_or_preparation(work: StepContext) -> FlowJob:
    has_copy = work.job.migration_method.has_copy
    return await (
        copy_flow.check_and_start_copy(work) if has_copy else prepare_original.start_preparing(work)
    )


async def _continue_after_verification(work: StepContext) -> FlowJob:
    is_swap = work.job.migration_method is MigrationMethod.CUT_OVER
    return await (
        cut_over.start_cutover(work) if is_swap else update_callers.start_updating_callers(work)
    )


async def _roll_back_flow(work: StepContext) -> FlowJob:
    if work.job.migration_method.has_copy:
        return await roll_back.run_rollback_stage(work)
    # an original whose definition is unchanged may still be converted by an invocation in flight
    await wait_and_revoke_grants(work)
    return await prepare_original.roll_back_preparation(work)


async def _continue_after_monitoring(work: StepContext) -> FlowJob:
    await cut_over.wait_for_monitoring_period(work)
    return await retire_original.retire_original(work)


def find_step(state: FlowJobState) -> Step:  # noqa: C901 -- one line for each state
    """Return the function that does the work of a state.

    Raises `LookupError` if there is none.
    """
    match state:
        case FlowJobState.PLANNED:
            return _start_copy_or_preparation
        case FlowJobState.PREPARING:
            return prepare_original.make_planned_preparation
        case FlowJobState.COPYING:
            return copy_flow.create_copy
        case FlowJobState.COPIED:
            return verify_copy.verify_copy
        case FlowJobState.VERIFIED:
            return _continue_after_verification
        case FlowJobState.UPDATING_CALLERS:
            return update_callers.write_new_urls
        case FlowJobState.CHECKING_FOR_CALLS:
            return retire_original.retire_without_calls
        case FlowJobState.CUTTING_OVER:
            return cut_over.cut_over
        case FlowJobState.MONITORING:
            return _continue_after_monitoring
        case FlowJobState.ROLLING_BACK:
            return _roll_back_flow
        case (
            FlowJobState.WAITING
            | FlowJobState.BLOCKED
            | FlowJobState.FAILED
            | FlowJobState.PREPARED
            | FlowJobState.RETIRED
            | FlowJobState.ROLLED_BACK
            | FlowJobState.CANCELLED
        ):
            raise LookupError(f"A job in state {state} has no work.")


#: Reasons that end without a person, so a failed cutover is tried again.
_PASSING = {
    Reason.SERVICE_OUTAGE,
    Reason.ENVIRONMENT_DISABLED,
    Reason.PLATFORM_MIGRATION_RUNNING,
}


async def run_flow_job_step(services: Services, environment_id: str, job_id: str) -> str:
    """Run the steps that are due, and return the job's state, for the log.

    Raises `NotFound` if there is no such row. Other exceptions are internal errors.
    """
    place = (environment_id, job_id)
    before, after = await FLOW.run_due_step(
        services,
        place,
        _run_steps,
        outcome=_build_row_after_error,
        waits=_require_no_wait_for_key_list,
        begun=lambda job: _apply_request_at_start(job, services),
    )
    await _wake_up_waiting_jobs(services, before, after)
    return after.state


async def _require_no_wait_for_key_list(services: Services, job: FlowJob) -> None:
    """Raise `MustWait` if the verification must wait for the Microsoft-key list.

    A job in the request queue has already waited, and keeps its place there.
    """
    is_proof = job.step is FlowJobState.COPIED and not job.requested_command and not job.has_grants
    if is_proof and job.reason_code != Reason.THROTTLED:
        await wait_for_key_list(services, job)


async def _run_steps(leased: LeasedJob[FlowJob]) -> FlowJob:
    """Apply a requested action, then run due steps until one must wait."""
    services = leased.services
    job = _apply_request(leased.job, services)
    if job.is_inactive:
        return await _complete_cancellation(leased, job)
    work = StepContext(leased, await _read_environment_or_save_failure(leased, job))
    try:
        is_settled = job.in_flight_until is not None and job.in_flight_until <= services.now
        if is_settled and not job.is_rolling_back and job.both_off_since is None:
            await wait_and_revoke_grants(work)
        if job.both_off_since is None:
            await revoke_remaining_grants(work)
        until = services.now + services.settings.invocation_time_limit
        job = await _run_step(work)
        while services.now < until and _can_continue(work.job, job):
            job = await work.save(job) if _changes_more_than_copy(job) else work.stage(job)
            if job.requested_command:
                break
            await _require_no_wait_for_key_list(services, job)
            job = await _run_step(work)
    except CmkflowError as err:
        final = await _revoke_before_stop(work, err)
        if final is err:
            raise
        raise final from err
    return job


async def _run_step(work: StepContext) -> FlowJob:
    with work.services.telemetry.span(f"step {work.job.step}"):
        job = await find_step(work.job.step)(work)
        await revoke_all_grants(work)
    return replace(job, grants=work.job.grants, unconfirmed_write=None)


def _can_continue(before: FlowJob, after: FlowJob) -> bool:
    if not all(FLOW_STATES[one].continues_invocation for one in (before.step, after.state)):
        return False
    in_order = list(FlowJobState)
    return in_order.index(before.step) < in_order.index(after.state)


def _changes_more_than_copy(job: FlowJob) -> bool:
    """Return whether the next step changes something other than the copy."""
    return job.state in {FlowJobState.UPDATING_CALLERS, FlowJobState.CUTTING_OVER}


async def _complete_cancellation(leased: LeasedJob[FlowJob], job: FlowJob) -> FlowJob:
    """Return a job that was cancelled before any change, after revoking its grants."""
    if leased.job.grants.past:
        home = leased.job.environment_id
        work = StepContext(
            leased, await require_environment_without_key(leased.services, home, even_linked=True)
        )
        await wait_and_revoke_grants(work)
        await revoke_all_grants(work)
    # Of the row, which has the grants that were revoked just now: their removal is read back later.
    grants = replace(leased.job.grants, active=())
    return replace(job, grants=grants, in_flight_until=None)


async def _read_environment_or_save_failure(
    leased: LeasedJob[FlowJob], job: FlowJob
) -> Environment:
    services = leased.services
    if job.policy_id:
        try:
            return await require_linked_environment(services, job.environment_id, job.policy_id)
        except MustWait as err:
            if job.both_off_since is None:
                raise
            # The flow that was on must be on again, even if the environment has lost its policy.
            if not job.is_rolling_back and job.cutover_failure is None:
                await leased.save(replace(job, cutover_failure=CutoverFailure(message=err.reason)))
            return await services.environments.get(job.environment_id)
    return await require_environment_without_key(
        services, job.environment_id, even_linked=job.is_rolling_back
    )


async def _revoke_before_stop(work: StepContext, err: CmkflowError) -> CmkflowError:
    """Revoke grants before the job stops after an error, and return the error to handle."""
    if isinstance(err, TransientError | Conflict):
        return err
    if isinstance(err, PlatformError | NotFound):
        err = await explain_rejection(work, err)
    try:
        await revoke_all_grants(work)
    except (MustWait, PlatformMigrationInProgress, JobBlocked, PlatformError):
        return err  # nothing may be written now: the next invocation revokes them
    except TransientError as busy:
        return busy
    return err


def _apply_request_at_start(job: FlowJob, services: Services) -> FlowJob:
    """Return the row at the start of an invocation, with a requested action applied.

    An action that ends the job is applied later, because the job then needs no environment.
    """
    applied = _apply_request(job, services)
    return job if applied.is_inactive else applied


def _apply_request(job: FlowJob, services: Services) -> FlowJob:
    if job.requested_command is None or job.is_rolling_back:
        # An alert that both flows are off is kept until one of them is on.
        code = job.reason_code if job.both_off_since else ""
        return replace(job, state=job.step, resume_state=None, message="", fix="", reason_code=code)
    if not job.state_properties.can_roll_back:
        return move_to_state(
            job, FlowJobState.CANCELLED, "Cancelled before it started.", now=services.now
        )
    text = (
        "Rolled back on request."
        if job.requested_command is JobCommand.ROLL_BACK
        else "Cancelled, so it is rolled back."
    )
    return move_to_state(
        replace(job, cutover_failure=None), FlowJobState.ROLLING_BACK, text, now=services.now
    )


def _build_row_after_error(services: Services, job: FlowJob, err: Exception) -> FlowJob | None:
    """Return the row to store after an error, or None after an internal error."""
    after = apply_error(services, job, err)
    if after is None:
        return None
    if job.both_off_since:
        return _with_error_while_both_off(services, job, after, err)
    if after.next_check_at is not None:
        return _with_check_of_grants(services, after)
    if not isinstance(err, TransientError | InternalErrorRepeated):
        return after
    return replace(after, message=f"{job.display_name}: {after.message}")


def _with_check_of_grants(services: Services, job: FlowJob) -> FlowJob:
    """Return the row with its next check early enough to check its grants.

    Grants that could not be revoked are checked soon. Grants that an interrupted invocation may
    have made are checked when that invocation can no longer change anything, or at the next retry.
    A rollback checks its grants at its end.
    """
    now, looks = services.now, [job.next_check_at] if job.next_check_at else []
    if job.grants.active:
        looks.append(now + services.settings.backoff_max_delay)
    if (
        job.grants.past
        and job.in_flight_until
        and job.in_flight_until > now
        and not job.is_rolling_back
        and not job.consecutive_failures  # an earlier retry would shorten the back-off
    ):
        looks.append(job.in_flight_until)
    return replace(job, next_check_at=min(looks))


def _with_error_while_both_off(
    services: Services, job: FlowJob, after: FlowJob, err: Exception
) -> FlowJob:
    """Return the row of a job whose flows are both off, to be checked again soon.

    If they are off for long, the row gets the code `both_off`.
    """
    since, now = job.both_off_since or services.now, services.now
    is_late = now - since >= services.settings.read_back_timeout
    if (
        job.cutover_failure is None
        and not job.is_rolling_back
        and (after.next_check_at is None or is_late)
    ):
        job = replace(job, cutover_failure=_explain_failure(after, err))
    is_accepted = isinstance(err, WriteNotVisible) and err.is_shown
    is_told = is_late or after.next_check_at is None or isinstance(err, PlatformMigrationInProgress)
    if after.reason_code == Reason.BOTH_OFF or is_accepted or not is_told:
        return replace(after, cutover_failure=job.cutover_failure) if after.next_check_at else after
    soon = now + compute_next_poll_delay(services, since)
    fix = f"Turn {job.display_name} on in Power Automate. {after.fix}"
    later = wait_until(
        job,
        f"Original and copy are both off since {since:%Y-%m-%d %H:%M} UTC: {job.display_name}."
        f" {after.message}",
        until=min(after.next_check_at or soon, soon),
        now=now,
        code=Reason.BOTH_OFF,
    )
    return replace(later, fix=fix.strip(), consecutive_failures=after.consecutive_failures)


def _explain_failure(after: FlowJob, err: Exception) -> CutoverFailure:
    """Return why the cutover failed.

    A failure with a code is not tried again at once, because each try turns both flows off for
    minutes.
    """
    reason = after.message
    if after.next_check_at is None:
        return CutoverFailure(message=reason, fix=after.fix, reason_code=after.reason_code)
    if after.reason_code in _PASSING:
        return CutoverFailure(message=reason)
    code = (
        Reason.WRITE_NOT_VISIBLE
        if isinstance(err, WriteNotVisible)
        else Reason.FLOW_STATE_NOT_CHANGED
    )
    return CutoverFailure(message=reason, fix=Reason.WRITE_NOT_VISIBLE.fix, reason_code=code)


async def _wake_up_waiting_jobs(services: Services, before: FlowJob, after: FlowJob) -> None:
    async def wake_up(names: Iterable[str], code: Reason, *, even_blocked: bool) -> None:
        for name in names:
            place = parse_job_reference(name, after.environment_id)
            await FLOW.wake_up(services, place, code=code, even_blocked=even_blocked)

    await wake_waiting_jobs(services, before, after)
    if after.has_original_restored and not before.has_original_restored:
        await wake_up(after.parents, Reason.CHILD_FLOW_NOT_READY, even_blocked=True)
    if after.reason_code == Reason.PARENT_FLOW_NOT_READY != before.reason_code:
        # Two jobs that call each other both wait, and neither noticed that the other waits.
        waiting = set(after.parents).intersection(after.waiting_job_ids)
        await wake_up(waiting, Reason.PARENT_FLOW_NOT_READY, even_blocked=False)
    if (after.state, after.step) == (before.state, before.step):
        return
    # A blocked job also wakes up those that wait for it, because they must report that.
    is_proven = after.is_verified and not before.is_verified
    if is_proven or (after.is_inactive and not after.is_verified):
        await wake_up(after.parents, Reason.CHILD_FLOW_NOT_READY, even_blocked=is_proven)
    if after.is_inactive:
        related = dict.fromkeys((*after.children, *after.waiting_job_ids))
        await wake_up(related, Reason.PARENT_FLOW_NOT_READY, even_blocked=not after.needs_action)
        await _wake_up_environment(services, after)


async def _wake_up_environment(services: Services, job: FlowJob) -> None:
    """Wake up the environment job if this job may be the last of its flow jobs."""
    place = (job.remediation_id, job.environment_job_id)
    kept = await services.tables.environment_jobs.get(*place)
    # A leased environment job is just selecting the job that it waits for.
    if kept and (kept.item.lease.is_held(services.now) or kept.item.watched_job_id in {"", job.id}):
        await ENVIRONMENT.wake_up(services, place)
