"""Group the flows of a plan by their dependent flows, and split the groups into pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from functions.dashboard.plan_rows import PlanGraph, PlanRow
from functions.dashboard.titles import compute_natural_sort_key, find_repeated_titles
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.plan_outlook import FlowOutlook, Outlook

#: Maximum number of flows on one page of a plan. Dependent flows stay together if they fit.
ROWS_ON_PAGE = 100
#: Ranks of outlooks: first flows that need attention.
_RANKS = {outlook: rank for rank, outlook in enumerate((
    Outlook.FIREWALL, Outlook.OWNER, Outlook.PERSON, Outlook.NO_PAUSE, Outlook.HAS_JOB,
    Outlook.NOT_INCLUDED,
))}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """Rows of flows that depend on one another, or the row of one flow that depends on none."""

    rows: tuple[PlanRow, ...]
    #: Number of its flows in the plan, of which a filter may show only some.
    size: int


def group_plan_rows(
    items: Sequence[PlanItem], outlooks: Mapping[str, FlowOutlook], awaiting: frozenset[str]
) -> list[RowGroup]:
    """Return the flows of a plan as rows in groups. Groups with a flow that pauses come first.

    In a group, a flow comes before the flows that it runs.
    """
    by_id = {item.workflow_id: item for item in items}
    graph = DependencyGraph(
        {flow: by_id.keys() & set(item.children) for flow, item in by_id.items()}
    )

    def compute_group_sort_key(group: Sequence[str]) -> tuple[int, list[tuple[bool, int, str]]]:
        rank = min(_RANKS[outlooks[flow].outlook] for flow in group)
        return rank, compute_natural_sort_key(by_id[group[0]].display_name)

    in_order = sorted(
        (_sort_callers_first(group, graph) for group in graph.dependent_groups),
        key=compute_group_sort_key,
    )
    positions = {flow: at for at, flow in enumerate(one for group in in_order for one in group)}

    plan = PlanGraph(
        items=by_id,
        graph=graph,
        awaiting=awaiting,
        equal_titles=find_repeated_titles(item.display_name for item in items),
    )

    def build_plan_row(flow: str) -> PlanRow:
        item = by_id[flow]
        below = awaiting.intersection(item.children)
        return PlanRow(
            item=item,
            outlook=outlooks[flow],
            position=positions[flow],
            child_positions=tuple(sorted(map(positions.__getitem__, below))) if below else (),
            plan=plan,
        )

    return [RowGroup(rows=tuple(map(build_plan_row, group)), size=len(group)) for group in in_order]


def _sort_callers_first(group: Sequence[str], graph: DependencyGraph) -> Sequence[str]:
    if len(group) == 1:
        return group
    waiting = {flow: len(graph.find_parents(flow)) for flow in group}
    order = [flow for flow in group if not waiting[flow]]
    for flow in order:
        for child in sorted(graph.find_children(flow)):
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return [*order, *(flow for flow in group if waiting[flow])]


def split_groups_into_pages(groups: Sequence[RowGroup]) -> list[list[RowGroup]]:
    """Return the groups of each page. A group is split only if it is larger than a page."""
    pages: list[list[RowGroup]] = [[]]
    room = ROWS_ON_PAGE
    for group in groups:
        rest = group.rows
        while rest:
            if len(rest) > room and room < ROWS_ON_PAGE:
                pages.append([])
                room = ROWS_ON_PAGE
            part, rest = rest[:room], rest[room:]
            pages[-1].append(RowGroup(rows=part, size=group.size))
            room -= len(part)
            if not room and rest:
                pages.append([])
                room = ROWS_ON_PAGE
    return pages
