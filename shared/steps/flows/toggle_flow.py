"""Turn one of a job's flows on or off, or rename it, and read the change back.

If this job has just turned the flow the other way, it writes even if a read shows the wanted state,
because the read may be older. So the row records each write before it is sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from shared.domain.display_names import shorten_with_suffix
from shared.domain.flow import FlowState, Workflow, WorkflowUpdate
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import add_notes
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite, build_flow_state_write
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
    keep_error,
    perform,
    with_fallback,
)
from shared.steps.flows.original import OriginalFlow, read_original
from shared.steps.flows.read_back import WriteNotVisible, iterate_read_attempts, read_back
from shared.steps.flows.temporary_co_ownership import call_as_co_owner
from shared.steps.flows.update_workflow import build_flow_write
from shared.steps.step_context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowToggle[F: (Workflow, OriginalFlow)]:
    """How one of a job's two flows is read, turned on, and turned off."""

    side: Literal["original", "copy"]
    title: str
    read: Callable[[], Awaitable[F]]
    write: Callable[[F, FlowState], Write]
    #: Returns why the platform accepted the change and did not make it.
    explain: Callable[[F, FlowState], Awaitable[JobBlocked]]

    def find_last_write(self, job: FlowJob) -> FlowStateWrite | None:
        """Return this job's last write of the flow's state, or None."""
        return job.original.last_write if self.side == "original" else job.copy.last_write

    def with_last_write(self, job: FlowJob, sent: FlowStateWrite | None) -> FlowJob:
        """Return the row with this write as the last one of the flow's state."""
        if self.side == "original":
            return replace(job, original=replace(job.original, last_write=sent))
        return replace(job, copy=replace(job.copy, last_write=sent))

    def is_known(self, work: StepContext, flow: F, state: FlowState) -> bool:
        """Return whether the flow is certainly in this state: no write that was sent before the
        read can still change it.
        """
        sent, services = self.find_last_write(work.job), work.services
        lag = services.settings.read_lag
        return flow.state is state and (sent is None or sent.confirms(state, services.now, lag))


async def toggle_flow[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], state: FlowState, *, seen: F | None = None
) -> F:
    """Turn a flow on or off, and return it as read back.

    Nothing is sent if the flow is certainly in this state. `seen` is the flow as it was just read:
    if it was edited since, raises `Conflict`. Raises `WriteNotVisible` until reads show the change,
    `JobBlocked` if they do not in time, and the errors of the write.
    """
    flow = seen or await switch.read()
    sent = switch.find_last_write(work.job)
    is_sent = sent is not None and sent.state is state
    # A flow that this job turned off itself is turned on by a write, however long ago that was.
    must_write = work.job.is_turning_back_on and sent is not None and not is_sent
    if switch.is_known(work, flow, state) and not (work.must_write_again or must_write):
        return flow
    if work.must_write_again or flow.state is not state or not is_sent:
        try:
            await _record_and_send_toggle(work, switch, flow, state)
        except LeaseLost:
            raise
        except (PermanentError, PlatformMigrationInProgress):
            if sent is None or not must_write or flow.state is not state:
                raise
            wait_until_read_is_current(work, switch.title, sent)
            return flow
        except Conflict:
            if not is_sent:
                raise  # otherwise the app's own write changed it, and the read is older
    return await _read_toggled_flow(work, switch, state)


def wait_until_read_is_current(work: StepContext, title: str, sent: FlowStateWrite) -> None:
    """Raise `MustWait` while a read may be older than the app's last write.

    Call it if the read differs from the write. If it returns, somebody else has turned the flow on
    or off since.
    """
    until = sent.last_sent_at + work.services.settings.read_back_timeout
    if work.services.now < until:
        text = f"{title} still shows the state before it was turned {sent.state}."
        raise MustWait(text, until=until, code=Reason.WRITE_NOT_VISIBLE)


async def _record_and_send_toggle[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], flow: F, state: FlowState
) -> None:
    before = switch.find_last_write(work.job)

    def with_intent(job: FlowJob) -> FlowJob:
        now, lag = work.services.now, work.services.settings.read_lag
        settles_at = job.in_flight_until or now
        return switch.with_last_write(
            job, build_flow_state_write(before, state, now=now, lag=lag, settles_at=settles_at)
        )

    try:
        await perform(
            replace(
                switch.write(flow, state), permit=partial(work.save_intended_write, with_intent)
            )
        )
    except (PermanentError, NotFound, PlatformMigrationInProgress):  # the platform changed nothing
        work.stage(switch.with_last_write(work.job, before))
        raise


async def _read_toggled_flow[F: (Workflow, OriginalFlow)](
    work: StepContext, switch: FlowToggle[F], state: FlowState
) -> F:
    services, what = work.services, f"{switch.title} turned {state}"
    async for _ in iterate_read_attempts(work):
        flow = await switch.read()
        sent = switch.find_last_write(work.job)
        if sent and switch.is_known(work, flow, state):
            work.stage(switch.with_last_write(work.job, replace(sent, is_confirmed=True)))
            return flow
        if sent and flow.state is state:
            raise WriteNotVisible(
                services, what, since=sent.first_sent_at, until=sent.reads_valid_from
            )
    assert sent
    if services.now - sent.first_sent_at < services.settings.read_back_timeout:
        raise WriteNotVisible(services, what, since=sent.first_sent_at)
    work.stage(switch.with_last_write(work.job, replace(sent, first_sent_at=services.now)))
    raise await switch.explain(flow, state)


async def toggle_original(
    work: StepContext, *, on: bool, seen: OriginalFlow | None = None, name: str | None = None
) -> OriginalFlow:
    """Turn the original on or off (see `toggle_flow`). If possible, the same write renames it to
    `name`.

    If the returned flow does not have the name, call `rename_flow`.
    """
    state = FlowState.ON if on else FlowState.OFF
    return await toggle_flow(work, build_original_toggle(work, name), state, seen=seen)


def build_original_toggle(work: StepContext, name: str | None = None) -> FlowToggle[OriginalFlow]:
    """Return how the original is turned on and off. If possible, the same write renames the
    original.
    """
    job, services = work.job, work.services

    def build_toggle_write(original: OriginalFlow, state: FlowState) -> Write:
        change = WorkflowUpdate(state=state)
        if job.original.in_solution and original.etag:
            return _build_change_with_name(work, original, change, name)
        is_on = state is FlowState.ON
        switch = services.flow_switch.start if is_on else services.flow_switch.stop

        async def handle_error(err: Refusal) -> Reply:
            if not isinstance(err, PlatformError):
                return None
            if not original.etag:
                return _build_start_as_service_account(work, err)

            async def handle_error_of_owner_write(other: Refusal) -> Reply:
                is_gone = isinstance(other, NotFound)
                return _build_start_as_service_account(work, err) if is_gone else None

            # The flow service treats the app as the user who turns it on; Dataverse treats the
            # owner as that user.
            return with_fallback(
                build_flow_write(work, original, change), handle_error_of_owner_write
            )

        return Write(
            permit=work.require_write_allowed,
            call=lambda: switch(job.environment_id, job.original.flow_name),
            on_refusal=handle_error,
            wait=services.request_budget.wait_for_requests,
        )

    async def explain_unchanged_state(_: OriginalFlow, state: FlowState) -> JobBlocked:
        return JobBlocked(
            f"The platform accepted the request to turn {job.display_name} {state}, but it is "
            f"not {state}.",
            fix=f"Turn the flow {state} in Power Automate, then retry.",
            code=Reason.FLOW_STATE_NOT_CHANGED,
        )

    async def read_original_of_job() -> OriginalFlow:
        return await read_original(work)

    return FlowToggle(
        side="original",
        title=job.display_name,
        read=read_original_of_job,
        write=build_toggle_write,
        explain=explain_unchanged_state,
    )


def _build_change_with_name(
    work: StepContext, original: OriginalFlow, change: WorkflowUpdate, name: str | None
) -> Write:
    async def handle_error(err: Refusal) -> Reply:
        is_named = name is not None and isinstance(err, PlatformError)
        return build_flow_write(work, original, change) if is_named else None

    return with_fallback(build_flow_write(work, original, replace(change, name=name)), handle_error)


def _build_start_as_service_account(
    work: StepContext, error: PlatformError
) -> Write | PlatformError:
    """Return the write with which the service account, as a co-owner, turns the original on.

    Returns `error` unless it says that an application may not turn the flow on. The write raises
    `error` if the service account is signed out.
    """
    if find_error_code(error.code, error.detail).code != NO_USER_DETAILS:
        return error
    job, access = work.job, work.services.flow_access

    async def start_original_as_co_owner() -> None:
        try:
            ask = partial(access.start, job.environment_id, job.original.flow_name)
            await call_as_co_owner(work, job.original.flow_name, ask)
        except JobBlocked as err:
            if err.code == Reason.SERVICE_ACCOUNT_SIGNED_OUT:
                raise error from err
            raise

    return Write(permit=work.require_write_allowed, call=start_original_as_co_owner)


async def rename_flow(
    work: StepContext,
    workflow_id: str,
    name: str,
    *,
    seen: OriginalFlow | Workflow | None = None,
    anew: bool = False,
) -> None:
    """Rename a flow that does not have this name yet.

    `seen` is its row as last read. `anew`: this job may have just renamed it, so a read does not
    show whether it has the name. A name that is too long for Dataverse is shortened, and the job's
    notes say so: some flows have names longer than the current limit (platform.md#long-names).
    """
    workflows, short = work.services.workflows, shorten_with_suffix(name)
    row = seen or await workflows.get(work.environment, workflow_id)

    def has_wanted_name(row: OriginalFlow | Workflow) -> bool:
        return row.name == name or (
            row.name == short and _build_note_about_short_name(short) in work.job.notes
        )

    if has_wanted_name(row) and not (anew and row.name == name):
        return

    def build_rename(name: str, on_refusal: OnRefusal) -> Write:
        change = WorkflowUpdate(name=name)
        return Write(
            permit=work.require_write_allowed,
            call=lambda: workflows.update(work.environment, workflow_id, change, etag=row.etag),
            on_refusal=on_refusal,
        )

    async def build_shorter_rename(err: Refusal) -> Reply:
        if not isinstance(err, PlatformError) or err.code != TOO_LONG or short == name:
            return None
        await work.save(add_notes(work.job, _build_note_about_short_name(short)))
        return build_rename(short, keep_error)

    await perform(build_rename(name, build_shorter_rename))
    read = partial(workflows.get, work.environment, workflow_id)
    now = await read_back(work, f"The name {name}", read, has_wanted_name)
    if not has_wanted_name(now):
        raise JobBlocked(
            f"The platform accepted the name {name} for the flow {now.name}, but did not keep it.",
            code=Reason.FLOW_NAME_NOT_CHANGED,
        )


def _build_note_about_short_name(short: str) -> str:
    return (
        f"The name of the flow {short} was shortened, because Dataverse does not accept its full "
        "length."
    )
