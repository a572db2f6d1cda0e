"""Change a row in Dataverse on behalf of its owner if possible, else as the app.

The platform checks the connections of the user who turns a flow on, or who saves a flow that is on
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


def build_flow_write(
    work: StepContext, row: Workflow | OriginalFlow, change: WorkflowUpdate
) -> Write:
    """Return the write that changes a flow as its owner, or else as the app.

    The write raises `Conflict` if the flow is no longer as in `row`, and `JobBlocked` if neither
    the owner nor the app may change it.
    """
    # A flow that was just turned off still reads as before, so turning it on again must not use
    # that ETag.
    etag = "*" if work.job.is_turning_back_on else row.etag
    update = partial(work.services.workflows.update, work.environment, row.workflow_id, etag=etag)
    owned = Owned(
        title=work.job.format_flow_title(row.workflow_id),
        environment=work.environment,
        owner_id=row.owner_id,
    )
    return build_write_for_owner(
        work, owned, call=lambda behalf: update(change=replace(change, on_behalf_of=behalf))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A flow with the owner on whose behalf the app changes it."""

    title: str
    environment: Environment
    owner_id: str


def build_write_for_owner(
    work: StepContext,
    flow: Owned,
    call: Callable[[str | None], Awaitable[object]],
    permit: Callable[[], Awaitable[object]] | None = None,
) -> Write:
    """Return a write on behalf of the flow's owner, or else as the app.

    `call` sends the request on behalf of the user whom its argument names, or as the app if that is
    None. `permit` is `StepContext.require_write_allowed` by default.
    """
    permit = permit or work.require_write_allowed

    async def build_write_as_app(error: Refusal) -> Reply:
        owner_is_gone = await _explain_unavailable_owner(work, flow)
        code = error.code if isinstance(error, PlatformError) else ""
        if not owner_is_gone and code not in {*NOT_ON_BEHALF, CONNECTION_REFUSED}:
            return None

        async def handle_app_error(err: Refusal) -> Reply:
            if not isinstance(err, PlatformError):
                return None
            # If the error is only that no application may turn a flow on, the owner's error says
            # more.
            is_no_person = find_error_code(err.code, err.detail).code == NO_USER_DETAILS
            if owner_is_gone and (is_no_person or err.code == CONNECTION_REFUSED):
                return owner_is_gone
            return error if is_no_person else None

        return Write(permit=permit, call=lambda: call(None), on_refusal=handle_app_error)

    return Write(permit=permit, call=lambda: call(flow.owner_id), on_refusal=build_write_as_app)


async def _explain_unavailable_owner(work: StepContext, flow: Owned) -> JobBlocked | None:
    """Return an error if the flow's owner has left or is disabled, else None."""
    owner = await work.services.principals.read_user(flow.environment, flow.owner_id)
    if owner and not owner.is_disabled:
        return None
    why = (
        f"The owner of {flow.title}, {owner.name}, is disabled"
        if owner
        else f"The owner of {flow.title} ({flow.owner_id}) is not a user of this environment"
    )
    return JobBlocked(
        f"{why}, and the app may not use one of its connections.",
        fix=(
            "Enable or add the owner, or give original and copy an owner who may use their "
            "connections (Power Automate → the flow → Details → Primary owner), or share the "
            "connections with the app ('Can use'). Then retry."
        ),
        code=Reason.OWNER_UNAVAILABLE,
    )
