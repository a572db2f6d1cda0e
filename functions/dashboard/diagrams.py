"""Select the groups of dependent flows of a remediation, and show each as a diagram and a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.dashboard.dependency_diagram import (
    NODE_HEIGHT,
    NODE_WIDTH,
    DependencyDiagram,
    DependencyGroup,
    DiagramNode,
    build_dependency_groups,
    is_blocking,
    lay_out_diagram,
)
from functions.dashboard.display_state import FlowDisplayState
from shared.domain.plans.plan_item import PlannedCaller
from shared.use_cases.show_flow import FlowView

#: Number of groups on one page.
GROUPS_ON_PAGE = 12
#: Larger groups are not legible as a diagram.
_MOST_IN_PICTURE = 60
#: Pixels; a phone shows no wider diagram, only its table.
_PHONE_WIDTH = 324
#: Most nodes in the diagrams of a page, and most calls in its tables.
_NODES_ON_PAGE, _CALLS_ON_PAGE = 150, 150
_CALLS_OF_GROUP = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramFilter:
    """Selects which groups of dependent flows the page of a remediation shows."""

    #: A flow of the only group to show; empty: all groups, page by page.
    flow_id: str = ""
    #: Number of groups before the page.
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call between two nodes of a diagram, as a row of the table beside it."""

    caller: DiagramNode
    called: DiagramNode
    #: One of them requires an action and the other waits for it.
    is_blocking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """A group of dependent flows as the page shows it: a diagram and a table of calls."""

    title: str
    flow_count: int
    caller_count: int
    action_required_count: int
    #: None: the group is too large, or the page has enough diagrams.
    picture: DependencyDiagram | None
    is_too_large: bool
    calls: list[Call]
    #: Number of calls that are not in `calls`.
    calls_left: int
    #: A flow of the group, by which `DiagramFilter` selects it.
    flow_id: str


def build_dependency_group_values(
    here: str,
    found: Mapping[str, tuple[FlowView, FlowDisplayState]],
    chosen: DiagramFilter | None = None,
) -> dict[str, Any]:
    """Return the template's values for the groups of dependent flows on a page.

    `found` has each flow and its display state by workflow id. `here` is the URL of the
    remediation's page.
    """
    chosen = chosen or DiagramFilter()
    callers, calls = _list_callers_and_calls(found)
    blocked = {one for one, (_, state) in found.items() if state.look == "person"}
    known = {*found, *callers} if callers else found
    groups = build_dependency_groups(known, calls, blocked)
    end = chosen.start + GROUPS_ON_PAGE
    on_page = groups[chosen.start : end]
    if chosen.flow_id:
        on_page = [group for group in groups if chosen.flow_id in group.calls]
    return {
        "graph_groups": _build_shown_groups(
            on_page, callers, found, here, is_only=bool(chosen.flow_id)
        ),
        "graph_total": len(groups),
        "graph_start": chosen.start,
        "graph_size": GROUPS_ON_PAGE,
        "graph_is_one": bool(chosen.flow_id),
        "phone_width": _PHONE_WIDTH,
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
    }


def _list_callers_and_calls(
    found: Mapping[str, tuple[FlowView, FlowDisplayState]],
) -> tuple[dict[str, PlannedCaller], list[tuple[str, str]]]:
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
    return callers, calls


def _build_shown_groups(
    groups: list[DependencyGroup],
    callers: Mapping[str, PlannedCaller],
    found: Mapping[str, tuple[FlowView, FlowDisplayState]],
    here: str,
    *,
    is_only: bool,
) -> list[ShownGroup]:
    shown, nodes_left, calls_left = [], _NODES_ON_PAGE, _CALLS_ON_PAGE
    for group in groups:
        nodes = {
            one: _build_caller_node(one, callers[one])
            if one in callers
            else _build_flow_node(here, *found[one])
            for one in group.calls
        }
        is_too_large = len(nodes) > _MOST_IN_PICTURE
        is_drawn = not is_too_large and (is_only or nodes_left >= len(nodes))
        calls = [
            Call(
                caller=nodes[caller],
                called=nodes[called],
                is_blocking=is_blocking(nodes[caller], nodes[called]),
            )
            for caller, all_called in group.calls.items()
            for called in all_called
        ]
        listed = calls if is_only else calls[: min(calls_left, _CALLS_OF_GROUP)]
        nodes_left -= len(nodes) if is_drawn else 0
        calls_left -= len(listed)
        flows = [node for node in nodes.values() if node.link]
        shown.append(
            ShownGroup(
                title=_format_group_title(flows),
                flow_count=len(flows),
                caller_count=len(nodes) - len(flows),
                action_required_count=sum(node.is_blocked for node in flows),
                picture=lay_out_diagram(group, nodes) if is_drawn else None,
                is_too_large=is_too_large,
                calls=listed,
                calls_left=len(calls) - len(listed),
                flow_id=flows[0].id if flows else "",
            )
        )
    return shown


def _format_group_title(flows: list[DiagramNode]) -> str:
    first = sorted(node.title for node in flows)[:3]
    return ", ".join(first) + (", …" if len(flows) > 3 else "")


def _build_flow_node(here: str, flow: FlowView, state: FlowDisplayState) -> DiagramNode:
    return DiagramNode(
        id=flow.workflow_id,
        title=flow.title,
        note=state.words,
        look=state.look,
        link=f"{here}/flows/{flow.workflow_id}",
        is_blocked=state.look == "person",
        is_over=state.look in {"done", "over"},
        is_verified=flow.job is not None and flow.job.is_verified,
        is_settled=flow.job is not None and flow.job.state_properties.releases_children,
    )


def _build_caller_node(identity: str, caller: PlannedCaller) -> DiagramNode:
    note = "manual" if caller.manual_reason else caller.kind.replace("_", " ")
    look = "wait" if caller.manual_reason else ""
    return DiagramNode(id=identity, title=caller.label, note=note, look=look)
