"""Change a copy, or turn it on or off: for its owner where that can be, else as the app.

The platform checks the connections of whoever turns a flow on, and of whoever saves one that is on
(contract §14.1).
"""

from dataclasses import replace

from shared.domain.flow import FlowState, Workflow, WorkflowChange
from shared.domain.jobs.refusals import CONNECTION_REFUSED, NOT_ON_BEHALF
from shared.errors import MigrationInProgress, NotFound, Refused
from shared.steps.copying.explain_owner import explain_copys_owner
from shared.steps.copying.explain_refusal import explain_state
from shared.steps.work import Work


async def turn_copy(work: Work, row: Workflow, state: FlowState) -> Workflow:
    """Turn the copy on or off and return it as read back; raises `Blocked` if it did not turn."""
    if row.state is state and not work.writes_anew:
        return row
    await work.permit_write()
    await change_copy(work, row, WorkflowChange(state=state))
    now = await work.services.workflows.get(work.environment, row.workflow_id)
    if now.state is not state:
        raise await explain_state(work, now, state)
    return now


async def change_copy(work: Work, row: Workflow, change: WorkflowChange) -> None:
    """Make a change that is permitted, if the copy still is what `row` says.

    Raises `Conflict` if it is not, `Blocked` if neither its owner nor the app may make it.
    """
    behalf = replace(change, on_behalf_of=row.owner_id)
    try:
        await work.services.workflows.update(
            work.environment, row.workflow_id, behalf, etag=row.etag
        )
    except MigrationInProgress:
        raise
    except (Refused, NotFound) as err:
        await _change_as_app(work, row, change, err)


async def _change_as_app(
    work: Work, row: Workflow, change: WorkflowChange, refusal: Refused | NotFound
) -> None:
    """Make it as the app, where the copy's owner cannot be acted for, or may not use a connection.

    Raises the refusal again where it has another cause.
    """
    owner_is_gone = await explain_copys_owner(work, row)
    code = refusal.code if isinstance(refusal, Refused) else ""
    if not owner_is_gone and code not in {*NOT_ON_BEHALF, CONNECTION_REFUSED}:
        raise refusal
    await work.permit_write()
    try:
        await work.services.workflows.update(
            work.environment, row.workflow_id, change, etag=row.etag
        )
    except MigrationInProgress:
        raise
    except Refused as err:
        if owner_is_gone and err.code == CONNECTION_REFUSED:
            raise owner_is_gone from err
        raise
