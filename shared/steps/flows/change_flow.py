"""Change a row of Dataverse: for its owner where that can be, else as the app.

The platform checks the connections of whoever turns a flow on, and of whoever saves one that is on
(contract §14.1).
"""

from dataclasses import replace

from shared.domain.flow import Workflow, WorkflowChange
from shared.domain.jobs.refusals import (
    CONNECTION_REFUSED,
    NO_USER_DETAILS,
    NOT_ON_BEHALF,
    refusal_of,
)
from shared.errors import Blocked, NotFound, Refused
from shared.reason import Reason
from shared.steps.flows.original import Original
from shared.steps.work import Work


async def change_flow(work: Work, row: Workflow | Original, change: WorkflowChange) -> None:
    """Make a change that is permitted, if the flow still is what `row` says.

    Raises `Conflict` if it is not, `Blocked` if neither its owner nor the app may make it.
    """
    behalf = replace(change, on_behalf_of=row.owner_id)
    try:
        await _update(work, row, behalf)
    except (Refused, NotFound) as err:
        await _change_as_app(work, row, change, err)


async def _update(work: Work, row: Workflow | Original, change: WorkflowChange) -> None:
    # What was just stopped reads as it was before for a while: its way back waits for no ETag.
    etag = "*" if work.job.is_on_way_back else row.etag
    await work.services.workflows.update(work.environment, row.workflow_id, change, etag=etag)


async def _change_as_app(
    work: Work, row: Workflow | Original, change: WorkflowChange, refusal: Refused | NotFound
) -> None:
    """Make it as the app, where the flow's owner cannot be acted for, or may not use a connection.

    Raises the refusal again where it has another cause.
    """
    owner_is_gone = await _explain_owner(work, row)
    code = refusal.code if isinstance(refusal, Refused) else ""
    if not owner_is_gone and code not in {*NOT_ON_BEHALF, CONNECTION_REFUSED}:
        raise refusal
    await work.permit_write()
    try:
        await _update(work, row, change)
    except Refused as err:
        # That no application may turn a flow on says nothing of what the owner lacks.
        is_no_person = refusal_of(err.code, err.detail).code == NO_USER_DETAILS
        if owner_is_gone and (is_no_person or err.code == CONNECTION_REFUSED):
            raise owner_is_gone from err
        if is_no_person:
            raise refusal from err
        raise


async def _explain_owner(work: Work, row: Workflow | Original) -> Blocked | None:
    """Return what to say where the flow's owner cannot be acted for; None: the owner is there.

    Owners leave while a copy is made, and in its quiet days.
    """
    owner = await work.services.principals.user(work.environment, row.owner_id)
    if owner and not owner.is_disabled:
        return None
    title = work.job.title_of(row.workflow_id)
    why = (
        f"The owner of {title}, {owner.name}, is disabled"
        if owner
        else f"The owner of {title} ({row.owner_id}) is no user of this environment"
    )
    return Blocked(
        f"{why}, and the app may not use a connection of it.",
        instruction="Bring the owner back; or make original and copy another user's who may use "
        "their connections (Power Automate → the flow → Details → Primary owner); or have the "
        "connections shared with the app ('Can use'). Then retry.",
        code=Reason.OWNER,
    )
