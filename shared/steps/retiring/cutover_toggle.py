"""Turn one of a self-starting pair of flows off and the other on.

They are never both on, and both off only while the change is made. If the second flow cannot be
turned on, the first is turned on again: by a write, whatever a read shows, and repeatedly until one
of them is on. Kill switch, approval policy and maintenance window do not stop that write.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.environment import Environment
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import CutoverFailure, FlowJob
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite
from shared.errors import (
    JobBlocked,
    MustWait,
    NotFound,
    PermanentError,
    PlatformError,
    PlatformMigrationInProgress,
)
from shared.reason import Reason
from shared.services import Services
from shared.steps.copying.explain_platform_error import explain_rejection
from shared.steps.copying.turn_copy_on_or_off import build_copy_toggle
from shared.steps.flows.original import find_original
from shared.steps.flows.read_back import WriteNotVisible, compute_next_poll_delay
from shared.steps.flows.toggle_flow import (
    build_original_toggle,
    toggle_flow,
    wait_until_read_is_current,
)
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_linked_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverSide:
    """One flow of a self-starting pair, and how it is turned on and off."""

    title: str
    turn_on: Callable[[], Awaitable[object]]
    #: Does nothing if the flow does not exist.
    turn_off: Callable[[], Awaitable[object]]
    #: Returns whether the flow is certainly on: the read is not older than the last write.
    is_on: Callable[[], Awaitable[bool]]
    find_last_write: Callable[[], FlowStateWrite | None]


def build_original_side(work: StepContext) -> CutoverSide:
    """Return the original as one side of the cutover."""
    switch = build_original_toggle(work)

    async def is_on() -> bool:
        return switch.is_known(work, await switch.read(), FlowState.ON)

    return CutoverSide(
        title=work.job.display_name,
        turn_on=lambda: toggle_flow(work, switch, FlowState.ON),
        turn_off=lambda: toggle_flow(work, switch, FlowState.OFF),
        is_on=is_on,
        find_last_write=lambda: switch.find_last_write(work.job),
    )


def build_copy_side(work: StepContext) -> CutoverSide:
    """Return the copy as one side of the cutover."""
    switch = build_copy_toggle(work)

    async def turn_off() -> None:
        with suppress(NotFound):
            await toggle_flow(work, switch, FlowState.OFF)

    async def is_on() -> bool:
        try:
            return switch.is_known(work, await switch.read(), FlowState.ON)
        except NotFound:
            return False

    return CutoverSide(
        title=work.job.format_flow_title(work.job.copy.id),
        turn_on=lambda: toggle_flow(work, switch, FlowState.ON),
        turn_off=turn_off,
        is_on=is_on,
        find_last_write=lambda: switch.find_last_write(work.job),
    )


async def are_both_off(services: Services, environment: Environment, job: FlowJob) -> bool:
    """Return whether this job has turned both flows off, and both are still off."""
    if not job.has_turned_both_off:
        return False
    original = await find_original(services, environment, job)
    if original is None or original.is_on:
        return False
    try:
        copy = await services.workflows.get(environment, job.copy.id)
    except NotFound:
        return True
    return copy.state is not FlowState.ON


async def toggle_pair(
    work: StepContext, *, off: CutoverSide, on: CutoverSide
) -> CutoverFailure | None:
    """Turn `off` off and `on` on.

    Return None, or why `off` was turned on again instead. Raises the errors that prevent turning
    `off` off.
    """
    failure = work.job.cutover_failure
    if failure is None:
        try:
            await _turn_off_then_on(work, off=off, on=on)
        except WriteNotVisible:
            raise
        except (PermanentError, NotFound, MustWait, PlatformMigrationInProgress) as err:
            if work.job.both_off_since is None:
                raise
            failure = await _describe_failure(work, err)
            await work.save(replace(work.job, cutover_failure=failure))
    if failure and await _turn_one_flow_on(work, first=off, second=on):
        failure = None
    await work.save(replace(work.job, both_off_since=None, cutover_failure=failure))
    return failure


async def _turn_off_then_on(work: StepContext, *, off: CutoverSide, on: CutoverSide) -> None:
    await work.require_write_allowed()
    if work.job.both_off_since is None:
        await work.save(replace(work.job, both_off_since=work.services.now))
    try:
        await off.turn_off()
    except (PermanentError, NotFound, PlatformMigrationInProgress):
        sent = off.find_last_write()
        if sent is None or sent.state is FlowState.ON:  # it was never turned off
            await work.save(replace(work.job, both_off_since=None))
        raise
    await _require_linked_environment(work)
    await on.turn_on()


async def _require_linked_environment(work: StepContext) -> None:
    """Raise an error if the environment was unlinked: the copy would be on Microsoft's key.

    A rollback may continue.
    """
    job = work.job
    if job.policy_id and not job.is_rolling_back:
        await require_linked_environment(
            work.services, job.environment_id, job.policy_id, anew=True
        )


async def _turn_one_flow_on(work: StepContext, *, first: CutoverSide, second: CutoverSide) -> bool:
    """Turn one of the two flows on, `first` if possible.

    Return whether `second` is on. Raises `MustWait` until one of them is on.
    """
    sent = first.find_last_write()
    is_first_being_turned_on = sent is not None and sent.state is FlowState.ON
    if not is_first_being_turned_on and await second.is_on() and not await first.is_on():
        stopped = second.find_last_write()
        if stopped and stopped.state is FlowState.OFF:
            wait_until_read_is_current(work, second.title, stopped)
        return True  # the write took effect late, or a person turned it on
    errors: list[JobBlocked] = []
    for one, other in ((first, second), (second, first)):
        try:
            await other.turn_off()
            await one.turn_on()
        except (PermanentError, NotFound) as err:
            errors.append(await _build_explanation(work, err))
            if errors[-1].code == Reason.FLOW_STATE_NOT_CHANGED:
                break  # it was accepted and may take effect later: never both on
        else:
            return one is second
    raise _build_both_off_wait(work, first, second, errors)


def _build_both_off_wait(
    work: StepContext, first: CutoverSide, second: CutoverSide, errors: list[JobBlocked]
) -> MustWait:
    services, since = work.services, work.job.both_off_since or work.services.now
    why = " ".join(one.reason for one in errors)
    return MustWait(
        (
            f"Original and copy are both off since {since:%Y-%m-%d %H:%M} UTC: {first.title}, "
            f"{second.title}. {why}"
        ),
        until=services.now + compute_next_poll_delay(services, since),
        code=Reason.BOTH_OFF,
        fix=" ".join([f"Turn {first.title} on in Power Automate.", errors[0].fix]),
    )


async def _describe_failure(
    work: StepContext, err: PermanentError | NotFound | MustWait | PlatformMigrationInProgress
) -> CutoverFailure:
    if isinstance(err, MustWait | PlatformMigrationInProgress):
        return CutoverFailure(message=str(err))
    why = await _build_explanation(work, err)
    return CutoverFailure(message=why.reason, fix=why.fix, reason_code=why.code)


async def _build_explanation(work: StepContext, err: PermanentError | NotFound) -> JobBlocked:
    if isinstance(err, PlatformError | NotFound):
        return await explain_rejection(work, err)
    if isinstance(err, JobBlocked):
        return err
    return JobBlocked(str(err), code=Reason.INTERNAL_ERROR)
