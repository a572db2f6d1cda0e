"""Let one flow of a self-starting pair take the other's place. Never both on, and never neither.

Between the stop of the one and the start of the other neither is on. If the other does not come on,
the first comes back: by a write, whatever a read says, and again until one of the two is on. That
is the one write which kill switch, mode and maintenance window do not stop.
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
from shared.steps.copying.explain_platform_error import explain_refusal
from shared.steps.copying.turn_copy_on_or_off import copy_switch
from shared.steps.flows.original import find_original
from shared.steps.flows.read_back import WriteNotVisible, next_poll_delay
from shared.steps.flows.toggle_flow import check_is_turned_by_others, original_switch, toggle_flow
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_linked_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverSide:
    """One flow of a pair."""

    title: str
    turn_on: Callable[[], Awaitable[object]]
    #: Does nothing where it is gone.
    turn_off: Callable[[], Awaitable[object]]
    #: Says whether it is known to be on: what is read is not older than what was sent.
    is_on: Callable[[], Awaitable[bool]]
    sent: Callable[[], FlowStateWrite | None]


def original_of(work: StepContext) -> CutoverSide:
    """Return the original."""
    switch = original_switch(work)

    async def is_on() -> bool:
        return switch.is_known(work, await switch.read(), FlowState.ON)

    return CutoverSide(
        title=work.job.display_name,
        turn_on=lambda: toggle_flow(work, switch, FlowState.ON),
        turn_off=lambda: toggle_flow(work, switch, FlowState.OFF),
        is_on=is_on,
        sent=lambda: switch.sent(work.job),
    )


def copy_of(work: StepContext) -> CutoverSide:
    """Return the copy."""
    switch = copy_switch(work)

    async def turn_off() -> None:
        with suppress(NotFound):
            await toggle_flow(work, switch, FlowState.OFF)

    async def is_on() -> bool:
        try:
            return switch.is_known(work, await switch.read(), FlowState.ON)
        except NotFound:
            return False

    return CutoverSide(
        title=work.job.title_of(work.job.copy_id),
        turn_on=lambda: toggle_flow(work, switch, FlowState.ON),
        turn_off=turn_off,
        is_on=is_on,
        sent=lambda: switch.sent(work.job),
    )


async def are_both_off(services: Services, environment: Environment, job: FlowJob) -> bool:
    """Say whether both flows read as off, as this job has sent them, though one is to be on."""
    if not job.has_turned_both_off:
        return False
    original = await find_original(services, environment, job)
    if original is None or original.is_on:
        return False
    try:
        copy = await services.workflows.get(environment, job.copy_id)
    except NotFound:
        return True
    return copy.state is not FlowState.ON


async def toggle_pair(work: StepContext, *, off: CutoverSide, on: CutoverSide) -> bool:
    """Turn `off` off and `on` on; return False if `off` is on again instead, for `failure`.

    Raises what keeps `off` from being stopped; after that only `MustWait`, `TransientError`,
    `Conflict`.
    """
    if work.job.cutover_failure is None:
        try:
            await _forward(work, off=off, on=on)
        except WriteNotVisible:
            raise
        except (PermanentError, NotFound, MustWait, PlatformMigrationInProgress) as err:
            if work.job.both_off_since is None:
                raise
            await work.save(replace(work.job, cutover_failure=await _failure(work, err)))
        else:
            return await _end(work, is_done=True)
    return await _back(work, first=off, second=on)


async def _forward(work: StepContext, *, off: CutoverSide, on: CutoverSide) -> None:
    await work.check_write_allowed()
    if work.job.both_off_since is None:
        await work.save(replace(work.job, both_off_since=work.services.now))
    try:
        await off.turn_off()
    except (PermanentError, NotFound, PlatformMigrationInProgress):
        sent = off.sent()
        if sent is None or sent.state is FlowState.ON:  # it was never stopped
            await work.save(replace(work.job, both_off_since=None))
        raise
    await _require_link(work)
    await on.turn_on()


async def _require_link(work: StepContext) -> None:
    """Return if the environment is linked at this moment, or the job is rolled back.

    A copy that comes on in an environment without a key is on Microsoft's key. A reading of the
    environment from a minute ago does not show that it was unlinked since.
    """
    job = work.job
    if job.policy_id and not job.is_rolling_back:
        await require_linked_environment(
            work.services, job.environment_id, job.policy_id, anew=True
        )


async def _back(work: StepContext, *, first: CutoverSide, second: CutoverSide) -> bool:
    """Turn one of the two on, the first if that can be. Raises `MustWait` until one of them is."""
    sent = first.sent()
    is_first_on_its_way = sent is not None and sent.state is FlowState.ON
    if not is_first_on_its_way and await second.is_on() and not await first.is_on():
        stopped = second.sent()
        if stopped and stopped.state is FlowState.OFF:
            check_is_turned_by_others(work, second.title, stopped)
        return await _end(work, is_done=True)  # it came late, or a person turned it on
    refusals: list[JobBlocked] = []
    for one, other in ((first, second), (second, first)):
        try:
            await other.turn_off()
            await one.turn_on()
        except (PermanentError, NotFound) as err:
            refusals.append(await _explained(work, err))
            if refusals[-1].code == Reason.FLOW_STATE_NOT_CHANGED:
                break  # it was accepted, and may come on yet: never both
        else:
            return await _end(work, is_done=one is second)
    raise _neither(work, first, second, refusals)


async def _end(work: StepContext, *, is_done: bool) -> bool:
    failure = None if is_done else work.job.cutover_failure
    await work.save(replace(work.job, both_off_since=None, cutover_failure=failure))
    return is_done


def _neither(
    work: StepContext, first: CutoverSide, second: CutoverSide, refusals: list[JobBlocked]
) -> MustWait:
    services, since = work.services, work.job.both_off_since or work.services.now
    why = " ".join(one.reason for one in refusals)
    return MustWait(
        f"NEITHER IS ON since {since:%Y-%m-%d %H:%M} UTC: {first.title}, {second.title}. {why}",
        until=services.now + next_poll_delay(services, since),
        code=Reason.BOTH_OFF,
        instruction=" ".join([f"Turn {first.title} on by hand.", refusals[0].instruction]),
    )


async def _failure(
    work: StepContext, err: PermanentError | NotFound | MustWait | PlatformMigrationInProgress
) -> CutoverFailure:
    if isinstance(err, MustWait | PlatformMigrationInProgress):
        return CutoverFailure(reason=str(err))
    why = await _explained(work, err)
    return CutoverFailure(reason=why.reason, instruction=why.instruction, code=why.code)


async def _explained(work: StepContext, err: PermanentError | NotFound) -> JobBlocked:
    if isinstance(err, PlatformError | NotFound):
        return await explain_refusal(work, err)
    if isinstance(err, JobBlocked):
        return err
    return JobBlocked(str(err), code=Reason.INTERNAL_ERROR)
