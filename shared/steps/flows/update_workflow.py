"""Change a row of Dataverse: for its owner where that can be, else as the app.

The platform checks the connections of whoever turns a flow on, and of whoever saves one that is on
(platform.md#activation-check).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from shared.domain.environment import Environment
from shared.domain.flow import Workflow, WorkflowUpdate
from shared.domain.platform_errors import (
    CONNECTION_REFUSED,
    NO_USER_DETAILS,
    NOT_ON_BEHALF,
    find_error_code,
)
from shared.errors import JobBlocked, PlatformError
from shared.reason import Reason
from shared.steps.flows.effect import Refusal, Reply, Write
from shared.steps.flows.original import OriginalFlow
from shared.steps.step_context import StepContext


def changing(work: StepContext, row: Workflow | OriginalFlow, change: WorkflowUpdate) -> Write:
    """Return the write that changes a flow as its owner, or as the app if that is refused.

    The write raises `Conflict` if the flow is not what `row` says any more, and `JobBlocked` if
    neither the owner nor the app may change it.
    """
    # What was just stopped reads as it was before for a while: its way back waits for no ETag.
    etag = "*" if work.job.is_turning_back_on else row.etag
    update = partial(work.services.workflows.update, work.environment, row.workflow_id, etag=etag)
    owned = Owned(
        title=work.job.title_of(row.workflow_id),
        environment=work.environment,
        owner_id=row.owner_id,
    )
    return for_owner(
        work, owned, call=lambda behalf: update(change=replace(change, on_behalf_of=behalf))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A flow whose owner the app acts for."""

    title: str
    environment: Environment
    owner_id: str


def for_owner(
    work: StepContext,
    flow: Owned,
    call: Callable[[str | None], Awaitable[object]],
    permit: Callable[[], Awaitable[object]] | None = None,
) -> Write:
    """Return a write for the flow's owner, or as the app if that is refused.

    `call` calls the port for a user, or for nobody. `permit` is `StepContext.permit_write` unless
    given.
    """
    permit = permit or work.check_write_allowed

    async def as_app(refusal: Refusal) -> Reply:
        """Write as the app if it may not act for the owner, or the owner lacks a connection."""
        owner_is_gone = await _explain_owner(work, flow)
        code = refusal.code if isinstance(refusal, PlatformError) else ""
        if not owner_is_gone and code not in {*NOT_ON_BEHALF, CONNECTION_REFUSED}:
            return None

        async def refused(err: Refusal) -> Reply:
            if not isinstance(err, PlatformError):
                return None
            # That no application may turn a flow on says nothing of what the owner lacks.
            is_no_person = find_error_code(err.code, err.detail).code == NO_USER_DETAILS
            if owner_is_gone and (is_no_person or err.code == CONNECTION_REFUSED):
                return owner_is_gone
            return refusal if is_no_person else None

        return Write(permit=permit, call=lambda: call(None), on_refusal=refused)

    return Write(permit=permit, call=lambda: call(flow.owner_id), on_refusal=as_app)


async def _explain_owner(work: StepContext, flow: Owned) -> JobBlocked | None:
    """Return what to say where the flow's owner cannot be acted for; None: the owner is there.

    Owners leave while a copy is made, and in its quiet days.
    """
    owner = await work.services.principals.user(flow.environment, flow.owner_id)
    if owner and not owner.is_disabled:
        return None
    why = (
        f"The owner of {flow.title}, {owner.name}, is disabled"
        if owner
        else f"The owner of {flow.title} ({flow.owner_id}) is no user of this environment"
    )
    return JobBlocked(
        f"{why}, and the app may not use a connection of it.",
        instruction="Bring the owner back; or make original and copy another user's who may use "
        "their connections (Power Automate → the flow → Details → Primary owner); or have the "
        "connections shared with the app ('Can use'). Then retry.",
        code=Reason.OWNER_UNAVAILABLE,
    )
