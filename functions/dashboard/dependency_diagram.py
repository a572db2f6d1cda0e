"""Lay out a group of dependent flows as an SVG diagram.

Callers are above what they call, unless they call one another in a loop. Nodes of a row are ordered
by the barycentre method, so that few lines cross.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NODE_WIDTH = 190
NODE_HEIGHT = 44
_GAP = 22
_ROW = 92
#: Width of a waypoint, where a line passes a row.
_KNEE = 8
#: Number of ordering passes; more passes change almost nothing.
_PASSES = 4
#: Longer rows are broken into several.
_MOST_IN_ROW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramNode:
    """A flow or another caller, as a box of a diagram."""

    id: str
    title: str
    #: Text below the title.
    note: str
    #: CSS class that shows who acts next.
    look: str = ""
    #: URL of the flow's page; empty for a caller that is not a flow of the plan.
    link: str = ""
    #: `is_blocked`: the flow requires an action. `is_over`: nothing more is done with it.
    is_blocked: bool = False
    is_over: bool = False
    #: `is_verified`: the copy is verified, so copies of its callers can be written. `is_settled`:
    #: the flow makes no more calls, so the flows that it called can retire.
    is_verified: bool = False
    is_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedNode:
    """A node with its position in pixels from the top left corner."""

    node: DiagramNode
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramEdge:
    """An arrow from a caller to what it calls, as an SVG path."""

    path: str
    #: One end requires an action, and the other end waits for it.
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyDiagram:
    """The nodes and arrows of a group of dependent flows, with the size of their diagram."""

    width: int
    height: int
    nodes: Sequence[PlacedNode]
    lines: Sequence[DiagramEdge]


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyGroup:
    """Flows and callers that depend on one another, with the ids of what each calls."""

    calls: Mapping[str, Sequence[str]]
    needs_person: bool


def build_dependency_groups(
    known: Container[str], calls: Iterable[tuple[str, str]], blocked: Container[str]
) -> list[DependencyGroup]:
    """Return the groups of flows and callers that call one another, those that require an action
    first.

    Only calls between ids in `known` count. `blocked` contains the ids of flows that require an
    action.
    """
    below = defaultdict[str, list[str]](list)
    tied = defaultdict[str, list[str]](list)
    for caller, called in dict.fromkeys(calls):
        if caller != called and caller in known and called in known:
            below[caller].append(called)
            tied[caller].append(called)
            tied[called].append(caller)
    found, seen = [], set[str]()
    for first in tied:
        if first in seen:
            continue
        members, waiting = list[str](), [first]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                members.append(one)
                waiting += tied[one]
        found.append(
            DependencyGroup(
                calls={one: below.get(one, ()) for one in members},
                needs_person=any(one in blocked for one in members),
            )
        )
    return sorted(found, key=lambda one: (not one.needs_person, -len(one.calls)))


def lay_out_diagram(group: DependencyGroup, nodes: Mapping[str, DiagramNode]) -> DependencyDiagram:
    """Return the diagram of a group of dependent flows. An arrow of a call loop leads up."""
    rows = _arrange_nodes_in_rows(group.calls, nodes)
    ways = _insert_waypoints(group.calls, rows)
    places, width, height = _compute_node_positions(_sort_nodes_in_rows(ways.values(), rows), nodes)
    lines = [
        DiagramEdge(
            path=_format_svg_path([places[one] for one in way]),
            holds=is_blocking(nodes[caller], nodes[called]),
        )
        for (caller, called), way in ways.items()
    ]
    return DependencyDiagram(
        width=width,
        height=height,
        nodes=[
            PlacedNode(node=nodes[one], x=middle - NODE_WIDTH // 2, y=y)
            for one, (middle, y) in places.items()
            if one in nodes
        ],
        lines=sorted(lines, key=lambda line: line.holds),  # blocking lines are drawn on top
    )


def is_blocking(caller: DiagramNode, called: DiagramNode) -> bool:
    """Return whether one of the two requires an action for which the other waits. A flow is copied
    before its callers, and an original is retired after its callers.
    """
    blocks_caller = called.is_blocked and not called.is_verified and bool(caller.link)
    blocks_called = caller.is_blocked and not caller.is_settled and called.is_verified
    return (blocks_caller and not caller.is_verified and not caller.is_over) or (
        blocks_called and not called.is_over
    )


def _arrange_nodes_in_rows(
    calls: Mapping[str, Sequence[str]], nodes: Mapping[str, DiagramNode]
) -> list[list[str]]:
    callers: dict[str, int] = dict.fromkeys(calls, 0)
    for one in (called for below in calls.values() for called in below):
        callers[one] += 1
    depth: dict[str, int] = {}
    left = dict.fromkeys(calls)
    while left:
        ready = [one for one in left if not callers[one]] or [min(left, key=lambda o: callers[o])]
        for one in ready:
            del left[one]
            depth.setdefault(one, 0)
            for called in calls[one]:
                if called in left:
                    callers[called] -= 1
                    depth[called] = max(depth.get(called, 0), depth[one] + 1)
    # Move callers that are not flows from the top to the row above the first flow that they call.
    for one in calls:
        below = [depth[called] for called in calls[one] if depth[called] > depth[one]]
        if not nodes[one].link and below:
            depth[one] = min(below) - 1
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for one, row in depth.items():
        rows[row].append(one)
    return [row for row in rows if row]


def _insert_waypoints(
    calls: Mapping[str, Sequence[str]], rows: list[list[str]]
) -> dict[tuple[str, str], list[str]]:
    """Return the nodes and waypoints of each arrow. Adds the waypoints to `rows`."""
    depth = {one: number for number, row in enumerate(rows) for one in row}
    ways = {}
    for caller, all_called in calls.items():
        for called in all_called:
            between = range(depth[caller] + 1, depth[called])
            knees = [f"{caller} > {called} in row {number}" for number in between]
            for number, knee in zip(between, knees, strict=True):
                rows[number].append(knee)
            ways[caller, called] = [caller, *knees, called]
    return ways


def _sort_nodes_in_rows(ways: Iterable[Sequence[str]], rows: list[list[str]]) -> list[list[str]]:
    tied: dict[str, list[str]] = {one: [] for row in rows for one in row}
    for one, other in (pair for way in ways for pair in pairwise(way)):
        tied[one].append(other)
        tied[other].append(one)
    place = {
        one: _compute_relative_position(index, row) for row in rows for index, one in enumerate(row)
    }
    for number in range(_PASSES):
        for row in rows if number % 2 else reversed(rows):
            row.sort(key=lambda one: _compute_mean_position(tied[one], place, one))
            place |= {one: _compute_relative_position(index, row) for index, one in enumerate(row)}
    return rows


def _compute_relative_position(index: int, row: Sequence[str]) -> float:
    return (index + 0.5) / len(row)


def _compute_mean_position(tied: Sequence[str], place: Mapping[str, float], one: str) -> float:
    return sum(place[other] for other in tied) / len(tied) if tied else place[one]


def _compute_node_positions(
    rows: list[list[str]], nodes: Container[str]
) -> tuple[dict[str, tuple[int, int]], int, int]:
    """Return the middle of each node's top edge, and the diagram's width and height, in pixels."""
    broad = [row[at : at + _MOST_IN_ROW] for row in rows for at in range(0, len(row), _MOST_IN_ROW)]
    wide = [[NODE_WIDTH if one in nodes else _KNEE for one in row] for row in broad]
    total = max(sum(row) + _GAP * (len(row) - 1) for row in wide)
    places: dict[str, tuple[int, int]] = {}
    for number, (row, widths) in enumerate(zip(broad, wide, strict=True)):
        left = 1 + (total - sum(widths) - _GAP * (len(row) - 1)) // 2
        for one, width in zip(row, widths, strict=True):
            places[one] = (left + width // 2, 1 + number * _ROW)
            left += width + _GAP
    return places, total + 2, (len(broad) - 1) * _ROW + NODE_HEIGHT + 2


def _format_svg_path(points: Sequence[tuple[int, int]]) -> str:
    (x, top), *rest = points
    y = top + NODE_HEIGHT
    if rest[-1][1] <= top:  # the line goes up or sideways: a call loop
        y, rest = top, [(rest[-1][0], rest[-1][1] + NODE_HEIGHT)]
    path = f"M{x} {y}"
    for number, (next_x, next_y) in enumerate(rest):
        middle = (y + next_y) // 2
        path += f"C{x} {middle} {next_x} {middle} {next_x} {next_y}"
        x, y = next_x, next_y
        if number < len(rest) - 1:
            y += NODE_HEIGHT
            path += f"V{y}"
    return path
