"""A flow's name in the flow service, by its Dataverse id: activation may have changed it."""

from shared.domain.flow import FlowState
from shared.errors import NotFound
from shared.services import Services


async def flow_name_of(
    services: Services, environment_id: str, workflow_id: str, *, state: FlowState | None = None
) -> str | None:
    """Return the name; None if the flow service does not show such a flow (in `state`, if given).

    Mostly the two ids are the same and one call tells; else the whole list is read. What was just
    turned on has its name for sure where it is shown on: else the read is from before
    (platform.md#reads-lag).
    """
    reports = services.flow_reports
    try:
        flow = await reports.get_flow(environment_id, workflow_id)
        if flow.workflow_id in {None, workflow_id}:
            return flow.flow_name if state in {None, flow.state} else None
    except NotFound:
        pass  # it goes by another name: look for the one that belongs to this row
    listed = await reports.list_flows(environment_id)
    for item in listed:
        if item.workflow_id == workflow_id and (None in {state, item.state} or state is item.state):
            return item.flow_name
    return None
