"""Find a flow's name in the flow service by its Dataverse id.

Turning a flow on may change its name.
"""

from collections.abc import Sequence
from functools import partial

from shared.domain.flow import FlowListEntry, FlowServiceFlow, FlowState
from shared.domain.plans.discovery import DiscoveryPage, DiscoverySource, select_reported_flows
from shared.errors import LeaseLost, NotFound, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.services import Services
from shared.steps.flows.discovery_pages import DiscoveryPages, build_report_rows

_LIST = DiscoverySource.ALL_FLOWS_LIST


async def read_flow_name(
    services: Services,
    environment_id: str,
    workflow_id: str,
    *,
    state: FlowState | None = None,
    unique_id: str = "",
) -> str | None:
    """Return the flow's name, or None if the flow service does not show the flow.

    With `state`, returns None for a flow in another state: after a flow was turned on, an answer
    that shows it as off is older (platform.md#reads-lag). `unique_id` is the second id of the row;
    if it is empty, it is read when it is needed. Raises `ThrottledError` if no request is allowed;
    the next call continues.
    """
    flow = await _find_flow(services, environment_id, workflow_id, workflow_id)
    if flow is None:
        unique_id = unique_id or await _read_unique_id(services, environment_id, workflow_id)
        if unique_id not in {"", workflow_id}:
            flow = await _find_flow(services, environment_id, unique_id, workflow_id)
    if flow:
        return flow.flow_name if state in {None, flow.state} else None
    return await _search_flow_list(services, environment_id, workflow_id, state)


async def _read_unique_id(services: Services, environment_id: str, workflow_id: str) -> str:
    environment = await services.environments.get_cached(environment_id)
    if environment.dataverse_url is None:
        return ""
    try:
        return (await services.workflows.get(environment, workflow_id)).unique_id
    except NotFound:
        return ""


async def _find_flow(
    services: Services, environment_id: str, flow_name: str, workflow_id: str
) -> FlowServiceFlow | None:
    try:
        flow = await services.flow_reports.get_flow(environment_id, flow_name)
    except NotFound:
        return None
    is_named_like_its_row = flow.workflow_id is None and flow_name == workflow_id
    return flow if is_named_like_its_row or flow.workflow_id == workflow_id else None


async def _search_flow_list(
    services: Services, environment_id: str, workflow_id: str, state: FlowState | None
) -> str | None:
    """Search the list of all flows. Stores the position, so that another call continues."""

    def build_matching_rows(flows: Sequence[FlowListEntry]) -> list[DiscoveryPage]:
        found = [
            flow
            for flow in flows
            if flow.workflow_id == workflow_id
            and (None in {state, flow.state} or state is flow.state)
        ]
        return build_report_rows(parts.build_empty_row(_LIST), found)

    rows = FencedRows(services.tables.discovery_pages, f"{workflow_id}-name")
    parts = DiscoveryPages(services, rows)
    read = partial(services.flow_pages.read_flows, environment_id)
    try:
        await parts.load_stored_pages()
        while not parts.get_position(_LIST).is_read and not select_reported_flows(
            parts.parts, _LIST
        ):
            await parts.read_and_store_page(_LIST, read, build_matching_rows)
        found = select_reported_flows(parts.parts, _LIST)
        await parts.remove_pages()
    except LeaseLost:
        raise ThrottledError("Another invocation is searching the list of flows.") from None
    return next((flow.flow_name for flow in found.values()), None)
