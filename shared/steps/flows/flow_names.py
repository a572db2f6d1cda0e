"""A flow's name in the flow service, by its Dataverse id: activation may have changed it."""

from shared.errors import NotFound
from shared.services import Services


async def flow_name_of(services: Services, environment_id: str, workflow_id: str) -> str | None:
    """Return the name; None if the flow service does not show such a flow.

    Mostly the two ids are the same and one call tells; else the whole list is read.
    """
    reports = services.flow_reports
    try:
        flow = await reports.get_flow(environment_id, workflow_id)
        if flow.workflow_id in {None, workflow_id}:
            return flow.flow_name
    except NotFound:
        pass  # it goes by another name: look for the one that belongs to this row
    listed = await reports.list_flows(environment_id)
    return next((flow.flow_name for flow in listed if flow.workflow_id == workflow_id), None)
