"""Select and draw the groups of dependent flows of a remediation."""

from collections.abc import Mapping
from typing import Any

from functions.dashboard.dependency_diagram import (
    NODE_HEIGHT,
    NODE_WIDTH,
    DiagramNode,
    dependency_groups,
    draw,
)
from functions.dashboard.display_state import FlowDisplayState
from shared.domain.plans.plan_item import PlannedCaller
from shared.use_cases.show_flow import FlowView

#: Larger groups are not legible as a diagram, and more diagrams are not read.
_MOST_IN_PICTURE = 60
_MOST_PICTURES = 12


def draw_dependency_groups(
    remediation_id: str, found: Mapping[str, tuple[FlowView, FlowDisplayState]]
) -> dict[str, Any]:
    """Return the template values for the diagrams; `found` holds flow and display state by id."""
    callers: dict[str, PlannedCaller] = {}
    calls: list[tuple[str, str]] = []
    for one, (flow, _) in found.items():
        if (item := flow.item) is None:
            continue
        calls += [(one, child) for child in item.children]
        calls += [(parent, one) for parent in item.parents]
        for caller in item.callers:
            identity = f"{caller.kind} {caller.label}"
            callers[identity] = caller
            calls.append((identity, one))
    if callers:  # a caller that is a flow of the plan already has a node
        titles = {f"flow {flow.title}" for flow, _ in found.values()}
        twice = {one for one, caller in callers.items() if caller.label in titles}
        calls = [call for call in calls if call[0] not in twice]
    stuck = {one for one, (_, standing) in found.items() if standing.look == "person"}
    known = {*found, *callers} if callers else found
    tied = dependency_groups(known, calls, stuck)
    small = [one for one in tied if len(one.calls) <= _MOST_IN_PICTURE][:_MOST_PICTURES]
    nodes = {
        one: _caller_node(one, callers[one])
        if one in callers
        else _flow_node(remediation_id, *found[one])
        for group in small
        for one in group.calls
    }
    return {
        "pictures": [draw(group, nodes) for group in small],
        "undrawn": len(tied) - len(small),
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
    }


def _flow_node(remediation_id: str, flow: FlowView, standing: FlowDisplayState) -> DiagramNode:
    return DiagramNode(
        id=flow.workflow_id,
        title=flow.title,
        note=standing.words,
        look=standing.look,
        link=f"/api/dashboard/remediations/{remediation_id}/flows/{flow.workflow_id}",
        is_stuck=standing.look == "person",
        is_over=standing.look in {"done", "over"},
        is_proven=flow.job is not None and flow.job.is_verified,
        is_settled=flow.job is not None and flow.job.state_properties.releases_children,
    )


def _caller_node(identity: str, caller: PlannedCaller) -> DiagramNode:
    note = "manual" if caller.manual_reason else caller.kind.replace("_", " ")
    look = "wait" if caller.manual_reason else ""
    return DiagramNode(id=identity, title=caller.label, note=note, look=look)
