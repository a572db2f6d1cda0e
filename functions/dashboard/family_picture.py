"""A family of flows as a picture: who calls or runs whom, and what holds what up.

Callers stand above what they call. Rows come from the longest way down; within a row each stands
as near as it can to what it is tied to (the barycentre rule of layered drawings).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

NODE_WIDTH = 190
NODE_HEIGHT = 44
_GAP = 22
_ROW = 92
#: Passes over all rows: more change next to nothing.
_PASSES = 4
#: More in one row, and the row goes on below.
_MOST_IN_ROW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
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
class Placed:
    """A node and where it stands; in pixels, from the top left."""

    node: Node
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """From a caller to what it calls, as the path of an SVG."""

    path: str
    #: One end needs a person, and the other waits for it.
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One family, drawn."""

    title: str
    width: int
    height: int
    nodes: Sequence[Placed]
    lines: Sequence[Line]
    needs_person: bool


@dataclass(slots=True)
class Family:
    """Nodes that are tied to one another; `calls` has, by caller, what it calls."""

    nodes: dict[str, Node] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)


def families(nodes: Iterable[Node], calls: Iterable[tuple[str, str]]) -> list[Family]:
    """Return the families of more than one member; those that need a person, then large ones."""
    known = {node.id: node for node in nodes}
    tied: dict[str, list[str]] = {one: [] for one in known}
    below: dict[str, list[str]] = {one: [] for one in known}
    for caller, called in dict.fromkeys(calls):
        if caller != called and caller in known and called in known:
            below[caller].append(called)
            tied[caller].append(called)
            tied[called].append(caller)
    found, seen = [], set[str]()
    for first in known:
        if first in seen or not tied[first]:
            continue
        family, waiting = Family(), [first]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                family.nodes[one], family.calls[one] = known[one], below[one]
                waiting += tied[one]
        found.append(family)
    return sorted(found, key=lambda one: (not _is_stuck(one), -len(one.nodes)))


def draw(family: Family) -> Picture:
    """Return the picture of a family; a circle of calls is cut somewhere and drawn."""
    rows = _ordered(family, _rows(family))
    broad = [row[at : at + _MOST_IN_ROW] for row in rows for at in range(0, len(row), _MOST_IN_ROW)]
    width = max(len(row) for row in broad) * (NODE_WIDTH + _GAP) - _GAP + 2
    places: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(broad):
        left = (width - len(row) * (NODE_WIDTH + _GAP) + _GAP) // 2
        for index, one in enumerate(row):
            places[one] = (left + index * (NODE_WIDTH + _GAP), 1 + number * _ROW)
    lines = [
        Line(
            path=_path(places[caller], places[called]),
            holds=_holds(family.nodes[caller], family.nodes[called]),
        )
        for caller, all_called in family.calls.items()
        for called in all_called
    ]
    flows = [node for node in family.nodes.values() if node.link]
    return Picture(
        title=", ".join(node.title for node in flows[:3]) + (", …" if len(flows) > 3 else ""),
        width=width,
        height=(len(broad) - 1) * _ROW + NODE_HEIGHT + 2,
        nodes=[Placed(node=family.nodes[one], x=x, y=y) for one, (x, y) in places.items()],
        lines=sorted(lines, key=lambda line: line.holds),  # what holds up is drawn over the rest
        needs_person=_is_stuck(family),
    )


def _holds(caller: Node, called: Node) -> bool:
    """Say whether one of two waits for the other, which needs a person.

    Copies are made from the bottom up, and originals retire from the top down.
    """
    holds_up = called.is_stuck and not called.is_proven and bool(caller.link)
    holds_down = caller.is_stuck and not caller.is_settled and called.is_proven
    return (holds_up and not caller.is_proven and not caller.is_over) or (
        holds_down and not called.is_over
    )


def _is_stuck(family: Family) -> bool:
    return any(node.is_stuck for node in family.nodes.values())


def _rows(family: Family) -> list[list[str]]:
    """Put each below all that call it; in a circle, below those that were looked at before."""
    callers: dict[str, int] = dict.fromkeys(family.nodes, 0)
    for one in (called for calls in family.calls.values() for called in calls):
        callers[one] += 1
    depth: dict[str, int] = {}
    left = dict.fromkeys(family.nodes)
    while left:
        ready = [one for one in left if not callers[one]] or [min(left, key=lambda o: callers[o])]
        for one in ready:
            del left[one]
            depth.setdefault(one, 0)
            for called in family.calls[one]:
                if called in left:
                    callers[called] -= 1
                    depth[called] = max(depth.get(called, 0), depth[one] + 1)
    # A caller stands right above the first that it calls, not at the top of all.
    for one in family.nodes:
        below = [depth[called] for called in family.calls[one] if depth[called] > depth[one]]
        if not family.nodes[one].link and below:
            depth[one] = min(below) - 1
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for one, row in depth.items():
        rows[row].append(one)
    return [row for row in rows if row]


def _ordered(family: Family, rows: list[list[str]]) -> list[list[str]]:
    """Return each row in an order in which few lines cross."""
    tied: dict[str, list[str]] = {one: list(called) for one, called in family.calls.items()}
    for caller, all_called in family.calls.items():
        for called in all_called:
            tied[called].append(caller)
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


def _path(caller: tuple[int, int], called: tuple[int, int]) -> str:
    half = NODE_WIDTH // 2
    x1, y1 = caller[0] + half, caller[1] + NODE_HEIGHT
    x2, y2 = called[0] + half, called[1]
    if y2 <= y1:  # back up, or beside: a circle of calls
        y1, y2 = caller[1], called[1] + NODE_HEIGHT
    middle = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"
