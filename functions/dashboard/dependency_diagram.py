"""A family of flows as a picture: who calls or runs whom, and what holds what up.

Callers stand above what they call. Rows come from the longest way down; within a row each stands
as near as it can to what it is tied to (the barycentre rule of layered drawings), and a line that
passes a row has a place of its own there.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NODE_WIDTH = 190
NODE_HEIGHT = 44
_GAP = 22
_ROW = 92
#: As wide a line is that passes a row.
_KNEE = 8
#: Passes over all rows: more change next to nothing.
_PASSES = 4
#: More in one row, and the row goes on below.
_MOST_IN_ROW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramNode:
    """A flow, or a place that calls one."""

    id: str
    title: str
    #: What is said below the title.
    note: str
    #: Class of the style sheet: who acts next.
    look: str = ""
    #: Address of its page; empty: a caller, which has none.
    link: str = ""
    #: It needs a person; it is over, and waits for nobody.
    is_stuck: bool = False
    is_over: bool = False
    #: Its copy is proven: copies of those that call it can be written. And: it calls no more, so
    #: that what it called can retire.
    is_proven: bool = False
    is_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedNode:
    """A node and where it stands; in pixels, from the top left."""

    node: DiagramNode
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramEdge:
    """From a caller to what it calls, as the path of an SVG."""

    path: str
    #: One end needs a person, and the other waits for it.
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyDiagram:
    """One family, drawn."""

    title: str
    width: int
    height: int
    nodes: Sequence[PlacedNode]
    lines: Sequence[DiagramEdge]
    needs_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyGroup:
    """Ids of flows and callers that are tied to one another; by caller, what it calls."""

    calls: Mapping[str, Sequence[str]]
    needs_person: bool


def families(
    known: Container[str], calls: Iterable[tuple[str, str]], stuck: Container[str]
) -> list[DependencyGroup]:
    """Return the families of more than one member; those that need a person, then large ones.

    What is not `known` is left out; `stuck` are those that need a person.
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
                needs_person=any(one in stuck for one in members),
            )
        )
    return sorted(found, key=lambda one: (not one.needs_person, -len(one.calls)))


def draw(family: DependencyGroup, nodes: Mapping[str, DiagramNode]) -> DependencyDiagram:
    """Return the picture of a family; a circle of calls is cut somewhere and drawn."""
    rows = _rows(family.calls, nodes)
    ways = _ways(family.calls, rows)
    places, width, height = _places(_ordered(ways.values(), rows), nodes)
    lines = [
        DiagramEdge(
            path=_path([places[one] for one in way]),
            holds=_holds(nodes[caller], nodes[called]),
        )
        for (caller, called), way in ways.items()
    ]
    flows = [nodes[one] for one in family.calls if nodes[one].link]
    return DependencyDiagram(
        title=", ".join(node.title for node in flows[:3]) + (", …" if len(flows) > 3 else ""),
        width=width,
        height=height,
        nodes=[
            PlacedNode(node=nodes[one], x=middle - NODE_WIDTH // 2, y=y)
            for one, (middle, y) in places.items()
            if one in nodes
        ],
        lines=sorted(lines, key=lambda line: line.holds),  # what holds up is drawn over the rest
        needs_person=family.needs_person,
    )


def _holds(caller: DiagramNode, called: DiagramNode) -> bool:
    """Say whether one of two waits for the other, which needs a person.

    Copies are made from the bottom up, and originals retire from the top down.
    """
    holds_up = called.is_stuck and not called.is_proven and bool(caller.link)
    holds_down = caller.is_stuck and not caller.is_settled and called.is_proven
    return (holds_up and not caller.is_proven and not caller.is_over) or (
        holds_down and not called.is_over
    )


def _rows(calls: Mapping[str, Sequence[str]], nodes: Mapping[str, DiagramNode]) -> list[list[str]]:
    """Put each below all that call it; in a circle, below those that were looked at before."""
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
    # A caller stands right above the first that it calls, not at the top of all.
    for one in calls:
        below = [depth[called] for called in calls[one] if depth[called] > depth[one]]
        if not nodes[one].link and below:
            depth[one] = min(below) - 1
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for one, row in depth.items():
        rows[row].append(one)
    return [row for row in rows if row]


def _ways(
    calls: Mapping[str, Sequence[str]], rows: list[list[str]]
) -> dict[tuple[str, str], list[str]]:
    """Return by caller and called what a line goes through: in each row between, a knee of its own.

    The knees are put into the rows, so that no line leads behind what stands there.
    """
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


def _ordered(ways: Iterable[Sequence[str]], rows: list[list[str]]) -> list[list[str]]:
    """Return each row in an order in which few lines cross."""
    tied: dict[str, list[str]] = {one: [] for row in rows for one in row}
    for one, other in (pair for way in ways for pair in pairwise(way)):
        tied[one].append(other)
        tied[other].append(one)
    place = {one: _share(index, row) for row in rows for index, one in enumerate(row)}
    for number in range(_PASSES):
        for row in rows if number % 2 else reversed(rows):
            row.sort(key=lambda one: _mean(tied[one], place, one))
            place |= {one: _share(index, row) for index, one in enumerate(row)}
    return rows


def _share(index: int, row: Sequence[str]) -> float:
    return (index + 0.5) / len(row)


def _mean(tied: Sequence[str], place: Mapping[str, float], one: str) -> float:
    return sum(place[other] for other in tied) / len(tied) if tied else place[one]


def _places(
    rows: list[list[str]], nodes: Container[str]
) -> tuple[dict[str, tuple[int, int]], int, int]:
    """Return where the middle of each top edge is, and how wide and high all of it is."""
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


def _path(points: Sequence[tuple[int, int]]) -> str:
    """Return the line from the bottom of the first to the top of the last, straight past knees."""
    (x, top), *rest = points
    y = top + NODE_HEIGHT
    if rest[-1][1] <= top:  # back up, or beside: a circle of calls
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
