import re
from dataclasses import replace
from itertools import combinations

import pytest

from functions.dashboard.dependency_diagram import (
    NODE_HEIGHT,
    NODE_WIDTH,
    DependencyDiagram,
    DiagramNode,
    build_dependency_groups,
    lay_out_diagram,
)


def build_node(name: str, **facts: bool) -> DiagramNode:
    return replace(DiagramNode(id=name, title=name, note="", link=f"/{name}"), **facts)  # type: ignore[arg-type]  # by name


def draw_group(nodes: list[DiagramNode], calls: list[tuple[str, str]]) -> DependencyDiagram:
    known = {node.id: node for node in nodes}
    (family,) = build_dependency_groups(known, calls, ())
    return lay_out_diagram(family, known)


def test_callers_are_drawn_above_the_flows_that_they_call() -> None:
    drawn = draw_group(
        [build_node("month"), build_node("day"), build_node("orders"), build_node("stock")],
        [("month", "day"), ("day", "orders"), ("month", "orders"), ("day", "stock")],
    )

    top = {one.node.id: one.y for one in drawn.nodes}
    assert top["month"] < top["day"] < top["orders"] == top["stock"]


@pytest.mark.parametrize("broad", [2, 7, 40])
def test_boxes_do_not_overlap_and_are_within_the_diagram(broad: int) -> None:
    names = [f"child {number}" for number in range(broad)]
    drawn = draw_group(
        [build_node("day"), *map(build_node, names)], [("day", name) for name in names]
    )

    for one, other in combinations(drawn.nodes, 2):
        beside = abs(one.x - other.x) >= NODE_WIDTH
        assert beside or abs(one.y - other.y) >= NODE_HEIGHT
    for one in drawn.nodes:
        assert 0 <= one.x <= drawn.width - NODE_WIDTH
        assert 0 <= one.y <= drawn.height - NODE_HEIGHT


def test_call_loop_is_drawn() -> None:
    drawn = draw_group(list(map(build_node, "abc")), [("a", "b"), ("b", "c"), ("c", "a")])

    assert len(drawn.lines) == 3
    assert sorted(one.node.id for one in drawn.nodes) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("caller", "called", "holds"),
    [
        ({}, {"is_blocked": True}, True),  # the parent's copy needs the child's
        ({"is_verified": True}, {"is_blocked": True}, False),
        ({}, {"is_blocked": True, "is_verified": True}, False),
        ({"is_over": True}, {"is_blocked": True}, False),
        ({"is_blocked": True, "is_verified": True}, {"is_verified": True}, True),  # still calls it
        ({"is_blocked": True}, {}, False),
        ({"is_blocked": True, "is_settled": True}, {"is_verified": True}, False),
        ({"is_blocked": True, "is_verified": True}, {"is_verified": True, "is_over": True}, False),
        ({}, {}, False),
    ],
)
def test_line_is_red_if_one_flow_waits_for_the_other(
    caller: dict[str, bool], called: dict[str, bool], holds: bool
) -> None:
    """A copy waits for the copies of its children, and a retirement for those of its parents."""
    drawn = draw_group(
        [build_node("day", **caller), build_node("orders", **called)], [("day", "orders")]
    )

    assert [line.holds for line in drawn.lines] == [holds]


def test_groups_that_require_an_action_are_first_and_single_flows_are_omitted() -> None:
    calls = [("a", "b"), ("b", "c"), ("d", "e"), ("x", "y"), ("lone", "lone"), ("a", "gone")]

    found = build_dependency_groups({"lone", *"abcdexy"}, calls, {"y", "lone"})

    assert [sorted(one.calls) for one in found] == [["x", "y"], ["a", "b", "c"], ["d", "e"]]
    assert [one.needs_person for one in found] == [True, False, False]


def test_callers_that_are_not_flows_are_drawn_directly_above_the_called_flow() -> None:
    site = DiagramNode(id="site", title="orders-api", note="app setting")
    drawn = draw_group(
        [build_node("month"), build_node("day"), build_node("orders"), site],
        [("month", "day"), ("day", "orders"), ("site", "orders")],
    )

    top = {one.node.id: one.y for one in drawn.nodes}
    assert top["site"] == top["day"]


def test_line_across_a_row_passes_beside_its_flows() -> None:
    names = [f"child {number}" for number in range(3)]
    drawn = draw_group(
        list(map(build_node, ["month", "day", *names, "orders"])),
        [("month", "day"), *(("day", name) for name in names), ("month", "orders")]
        + [(name, "orders") for name in names],
    )

    [long] = [line.path for line in drawn.lines if line.path.count("C") == 3]
    passing = re.findall(r"(\d+) (\d+)V(\d+)", long)
    assert len(passing) == 2
    for x, top, bottom in (map(int, one) for one in passing):
        assert bottom - top == NODE_HEIGHT
        beside = [one for one in drawn.nodes if one.y == top]
        assert beside
        assert not any(one.x <= x <= one.x + NODE_WIDTH for one in beside)
