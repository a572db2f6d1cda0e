from shared.domain.plans.dependency_graph import DependencyGraph


def test_children_are_copied_before_their_parents() -> None:
    graph = DependencyGraph({"top": ["mid", "leaf"], "mid": ["leaf"], "leaf": [], "alone": []})

    order = graph.leaves_first

    assert order.index("leaf") < order.index("mid") < order.index("top")
    assert graph.dependent_groups == (("alone",), ("leaf", "mid", "top"))
    assert graph.find_ancestors("leaf") == {"mid", "top"}
    assert graph.call_loops == ()


def test_call_loop_lists_its_flows() -> None:
    """A flow that only calls itself is no loop."""
    graph = DependencyGraph({"a": ["b"], "b": ["c"], "c": ["a"], "self": ["self"], "d": ["a"]})

    assert graph.call_loops == (("a", "b", "c"),)
    assert sorted(graph.leaves_first) == ["a", "b", "c", "d", "self"]
    assert graph.leaves_first.index("d") > graph.leaves_first.index("c")


def test_a_missing_child_is_named_with_its_caller() -> None:
    graph = DependencyGraph({"parent": ["gone", "leaf"], "leaf": []})

    assert graph.missing == {"parent": {"gone"}}
    assert graph.leaves_first == ("leaf", "parent")
    assert graph.find_children("gone") == frozenset()


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    size = 20_000
    children = {f"{i:05}": [f"{i + 1:05}"] for i in range(size)} | {f"{size:05}": []}

    order = DependencyGraph(children).leaves_first

    assert order[0] == f"{size:05}"
    assert order[-1] == "00000"
