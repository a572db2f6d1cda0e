"""Turn a flow of a job on or off, and see it; or give it a name.

A flow that this job has just turned the other way is written to, whatever a read says: the read may
be from before. So the row notes what is sent, before it is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from shared.domain.display_names import shortened
from shared.domain.flow import FlowState, Workflow, WorkflowUpdate
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import add_notes
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite, record_write
from shared.domain.platform_errors import NO_USER_DETAILS, TOO_LONG, find_error_code
from shared.errors import (
    Conflict,
    JobBlocked,
    LeaseLost,
    MustWait,
    NotFound,
    PermanentError,
    PlatformError,
    PlatformMigrationInProgress,
)
from shared.reason import Reason
from shared.steps.flows.effect import (
    OnRefusal,
    Refusal,
    Reply,
    Write,
    perform,
    raise_refusal,
    with_fallback,
)
from shared.steps.flows.original import OriginalFlow, read_original
from shared.steps.flows.read_back import WriteNotVisible, poll, read_back
from shared.steps.flows.temporary_co_ownership import call_as_co_owner
from shared.steps.flows.update_workflow import changing
from shared.steps.step_context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowToggle[F: (Workflow, OriginalFlow)]:
    """One of the two flows of a job: how it is read, and turned on and off."""

    note: Literal["original_write", "copy_write"]
    title: str
    read: Callable[[], Awaitable[F]]
    write: Callable[[F, FlowState], Write]
    #: Says why the platform accepted to turn it and did not.
    explain: Callable[[F, FlowState], Awaitable[JobBlocked]]

    def sent(self, job: FlowJob) -> FlowStateWrite | None:
        """Return what this job has last sent to it."""
        return job.original_write if self.note == "original_write" else job.copy_write

    def noted(self, job: FlowJob, sent: FlowStateWrite | None) -> FlowJob:
        """Return the row with what was last sent to it."""
        if self.note == "original_write":
            return replace(job, original_write=sent)
        return replace(job, copy_write=sent)

    def is_known(self, work: StepContext, flow: F, state: FlowState) -> bool:
        """Say whether the flow as it was read is in this state, whatever was sent to it."""
        sent, services = self.sent(work.job), work.services
        lag = services.settings.read_lag
        return flow.state is state and (sent is None or sent.confirms(state, services.now, lag))


async def toggle_flow[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], state: FlowState, *, seen: F | None = None
) -> F:
    """Turn a flow on or off, unless it is known to be so, and return it as read back.

    `seen` is the flow as it was looked at: an edit since then raises `Conflict`. Raises
    `WriteNotVisible` until reads show it, `JobBlocked` if they do not in time, and whatever the
    write raises.
    """
    flow = seen or await switch.read()
    sent = switch.sent(work.job)
    is_sent = sent is not None and sent.state is state
    # What this job itself stopped comes back by a write, however long ago that was.
    is_undone = work.job.is_turning_back_on and sent is not None and not is_sent
    if switch.is_known(work, flow, state) and not (work.writes_anew or is_undone):
        return flow
    if work.writes_anew or flow.state is not state or not is_sent:
        try:
            await _send(work, switch, flow, state)
        except LeaseLost:
            raise
        except (PermanentError, PlatformMigrationInProgress):
            if sent is None or not is_undone or flow.state is not state:
                raise
            check_is_turned_by_others(work, switch.title, sent)
            return flow
        except Conflict:
            if not is_sent:
                raise  # else it is our own write that changed it: the read is from before
    return await _see(work, switch, state)


def check_is_turned_by_others(work: StepContext, title: str, sent: FlowStateWrite) -> None:
    """Return where a flow reads as other than it was sent, if that cannot be from before.

    Else raises `MustWait`: reads that are older than is assumed have to be waited out.
    """
    until = sent.last_sent_at + work.services.settings.read_back_timeout
    if work.services.now < until:
        text = f"{title} reads as it was before it was turned {sent.state}."
        raise MustWait(text, until=until, code=Reason.WRITE_NOT_VISIBLE)


async def _send[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], flow: F, state: FlowState
) -> None:
    before = switch.sent(work.job)

    def intended(job: FlowJob) -> FlowJob:
        now, lag = work.services.now, work.services.settings.read_lag
        settles_at = job.in_flight_until or now
        return switch.noted(
            job, record_write(before, state, now=now, lag=lag, settles_at=settles_at)
        )

    try:
        await perform(
            replace(
                switch.write(flow, state), permit=partial(work.stage_then_check_write, intended)
            )
        )
    except (PermanentError, NotFound, PlatformMigrationInProgress):  # the platform did nothing
        work.remember(switch.noted(work.job, before))
        raise


async def _see[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], state: FlowState
) -> F:
    services, what = work.services, f"{switch.title} turned {state}"
    async for _ in poll(work):
        flow = await switch.read()
        sent = switch.sent(work.job)
        if sent and switch.is_known(work, flow, state):
            work.remember(switch.noted(work.job, replace(sent, is_confirmed=True)))
            return flow
        if sent and flow.state is state:
            raise WriteNotVisible(
                services, what, since=sent.first_sent_at, until=sent.reads_valid_from
            )
    assert sent
    if services.now - sent.first_sent_at < services.settings.read_back_timeout:
        raise WriteNotVisible(services, what, since=sent.first_sent_at)
    work.remember(switch.noted(work.job, replace(sent, first_sent_at=services.now)))
    raise await switch.explain(flow, state)


async def toggle_original(
    work: StepContext, *, on: bool, seen: OriginalFlow | None = None, name: str | None = None
) -> OriginalFlow:
    """Turn the original on or off (see `toggle_flow`), and give it a name by the same write.

    What is returned has the name, or `rename` has to give it by a write of its own.
    """
    state = FlowState.ON if on else FlowState.OFF
    return await toggle_flow(work, original_switch(work, name), state, seen=seen)


def original_switch(work: StepContext, name: str | None = None) -> FlowToggle[OriginalFlow]:
    """Return how the original is turned on and off, and given a name with that where it can be."""
    job, services = work.job, work.services

    def write(original: OriginalFlow, state: FlowState) -> Write:
        change = WorkflowUpdate(state=state)
        if job.in_solution and original.etag:
            return _changing_and_naming(work, original, change, name)
        is_on = state is FlowState.ON
        switch = services.flow_switch.start if is_on else services.flow_switch.stop

        async def refused(err: Refusal) -> Reply:
            if not isinstance(err, PlatformError):
                return None
            if not original.etag:
                return _starting_as_operator(work, err)

            async def gone(other: Refusal) -> Reply:
                is_gone = isinstance(other, NotFound)
                return _starting_as_operator(work, err) if is_gone else None

            # The flow service takes the app for whoever turns it on; Dataverse takes the owner.
            return with_fallback(changing(work, original, change), gone)

        return Write(
            permit=work.check_write_allowed,
            call=lambda: switch(job.environment_id, job.flow_name),
            on_refusal=refused,
        )

    async def explain(_: OriginalFlow, state: FlowState) -> JobBlocked:
        return JobBlocked(
            f"The platform accepted to turn {job.display_name} {state}, but it is not.",
            instruction=f"Turn the flow {state} in Power Automate, then retry.",
            code=Reason.FLOW_STATE_NOT_CHANGED,
        )

    async def read() -> OriginalFlow:
        return await read_original(work)

    return FlowToggle(
        note="original_write", title=job.display_name, read=read, write=write, explain=explain
    )


def _changing_and_naming(
    work: StepContext, original: OriginalFlow, change: WorkflowUpdate, name: str | None
) -> Write:
    """Return the write of a change and a name together; if that is refused, of the change alone."""

    async def refused(err: Refusal) -> Reply:
        is_named = name is not None and isinstance(err, PlatformError)
        return changing(work, original, change) if is_named else None

    return with_fallback(changing(work, original, replace(change, name=name)), refused)


def _starting_as_operator(work: StepContext, refusal: PlatformError) -> Write | PlatformError:
    """Return the write by which the operator, as a co-owner, turns the original on.

    Returns the refusal unless it says that an application may not turn the flow on. The write
    raises the refusal if there is no operator.
    """
    if find_error_code(refusal.code, refusal.detail).code != NO_USER_DETAILS:
        return refusal
    job, access = work.job, work.services.flow_access

    async def start() -> None:
        try:
            ask = partial(access.start, job.environment_id, job.flow_name)
            await call_as_co_owner(work, job.flow_name, ask)
        except JobBlocked as err:
            if err.code == Reason.SERVICE_ACCOUNT_SIGNED_OUT:
                raise refusal from err
            raise

    return Write(permit=work.check_write_allowed, call=start)


async def rename(
    work: StepContext,
    workflow_id: str,
    name: str,
    *,
    seen: OriginalFlow | Workflow | None = None,
    anew: bool = False,
) -> None:
    """Give a flow this name, unless it has it; `seen` is its row as it was read last.

    `anew`: this job may have renamed it a moment ago, so that a read is no proof that it has it.

    A name that Dataverse does not take is shortened, and the job's notes say so: there are flows
    with names that are longer than what it takes now (platform.md#long-names).
    """
    workflows, short = work.services.workflows, shortened(name)
    row = seen or await workflows.get(work.environment, workflow_id)

    def is_given(row: OriginalFlow | Workflow) -> bool:
        return row.name == name or (row.name == short and _note_of(short) in work.job.notes)

    if is_given(row) and not (anew and row.name == name):
        return

    def giving(name: str, on_refusal: OnRefusal) -> Write:
        change = WorkflowUpdate(name=name)
        return Write(
            permit=work.check_write_allowed,
            call=lambda: workflows.update(work.environment, workflow_id, change, etag=row.etag),
            on_refusal=on_refusal,
        )

    async def shorter(err: Refusal) -> Reply:
        if not isinstance(err, PlatformError) or err.code != TOO_LONG or short == name:
            return None
        await work.save(add_notes(work.job, _note_of(short)))
        return giving(short, raise_refusal)

    await perform(giving(name, shorter))
    read = partial(workflows.get, work.environment, workflow_id)
    now = await read_back(work, f"The name {name}", read, is_given)
    if not is_given(now):
        raise JobBlocked(
            f"The platform accepted the name {name} for the flow {now.name}, and did not keep it.",
            code=Reason.FLOW_NAME_NOT_CHANGED,
        )


def _note_of(short: str) -> str:
    return f"Dataverse does not take the whole name of the flow that is called {short}."
