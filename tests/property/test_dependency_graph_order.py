from hypothesis import given
from hypothesis import strategies as st

from shared.domain.plans.dependency_graph import DependencyGraph

_IDS = st.sampled_from("abcdefghij")
_GRAPHS = st.dictionaries(_IDS, st.frozensets(_IDS, max_size=4), max_size=10)


def _find_reachable(children: dict[str, frozenset[str]], start: str) -> set[str]:
    found: set[str] = set()
    stack = [start]
    while stack:
        for child in children[stack.pop()] & children.keys():
            if child not in found:
                found.add(child)
                stack.append(child)
    return found


@given(_GRAPHS)
def test_order_contains_each_flow_once_after_its_children(
    children: dict[str, frozenset[str]],
) -> None:
    """In a call loop, a child may come after its parent."""
    graph = DependencyGraph(children)

    order = graph.leaves_first

    assert sorted(order) == sorted(children)
    for parent in children:
        for child in graph.find_children(parent):
            assert order.index(child) <= order.index(parent) or parent in _find_reachable(
                children, child
            )


@given(_GRAPHS)
def test_call_loops_contain_exactly_the_flows_that_reach_themselves(
    children: dict[str, frozenset[str]],
) -> None:
    """A flow that only runs itself is no call loop."""
    cycles = DependencyGraph(children).call_loops

    others = {flow: called - {flow} for flow, called in children.items()}
    reaches = {flow: _find_reachable(others, flow) for flow in others}
    assert {flow for cycle in cycles for flow in cycle} == {f for f in children if f in reaches[f]}
    for cycle in cycles:
        assert all(set(cycle) <= reaches[flow] for flow in cycle)


@given(_GRAPHS)
def test_dependent_groups_partition_the_flows(children: dict[str, frozenset[str]]) -> None:
    graph = DependencyGraph(children)

    assert sorted(flow for family in graph.dependent_groups for flow in family) == sorted(children)
    for family in graph.dependent_groups:
        for flow in family:
            assert graph.find_children(flow) | graph.find_parents(flow) <= set(family)


@given(_GRAPHS)
def test_missing_children_are_listed_with_their_callers(
    children: dict[str, frozenset[str]],
) -> None:
    graph = DependencyGraph(children)

    for flow, called in children.items():
        known = graph.find_children(flow) | graph.missing.get(flow, frozenset())
        assert known == called - {flow}
    assert not {c for missing in graph.missing.values() for c in missing} & children.keys()


@given(_GRAPHS)
def test_ancestors_are_all_flows_that_reach_the_flow(children: dict[str, frozenset[str]]) -> None:
    graph = DependencyGraph(children)

    others = {flow: called - {flow} for flow, called in children.items()}
    for flow in children:
        expected = {one for one in children if flow in _find_reachable(others, one)}
        assert graph.find_ancestors(flow) == expected
        assert graph.find_descendants(flow) == _find_reachable(others, flow)
