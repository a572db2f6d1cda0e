"""Compute which flow calls which: the order of copying and retiring, dependent flows, call loops.

The copy of a parent is written to call the copies of its children, so children are copied first. A
call loop or a missing child is reported as a finding and does not stop the plan. A flow that calls
itself does not count as its own child.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter


class DependencyGraph:
    """The flows of an environment by id, each with the ids of the flows that it calls."""

    def __init__(self, children: Mapping[str, Iterable[str]]) -> None:
        """`children` contains every known flow as a key.

        A called flow that is not a key is a missing child.
        """
        called = {flow: frozenset(ids) - {flow} for flow, ids in sorted(children.items())}
        # A set of its keys, because an intersection with the dictionary's keys iterates over all of
        # them.
        known = frozenset(called)
        self._children = {flow: ids & known for flow, ids in called.items()}
        #: Ids of called flows that are not in the graph, by calling flow.
        self.missing = {flow: ids - known for flow, ids in called.items() if not ids <= known}
        parents: dict[str, set[str]] = {flow: set() for flow in called}
        for flow, ids in self._children.items():
            for child in ids:
                parents[child].add(flow)
        self._parents = {flow: frozenset(ids) for flow, ids in parents.items()}

    def find_children(self, flow: str) -> frozenset[str]:
        """Return the known flows that a flow calls directly."""
        return self._children.get(flow, frozenset())

    def find_parents(self, flow: str) -> frozenset[str]:
        return self._parents.get(flow, frozenset())

    def find_ancestors(self, *flows: str) -> frozenset[str]:
        """Return every flow that calls one of these flows, directly or through others.

        One of these flows is itself included only if it calls one of them.
        """
        return _find_reachable_flows(flows, self._parents)

    def find_descendants(self, *flows: str) -> frozenset[str]:
        """Return every flow that one of these flows calls, directly or through others.

        One of these flows is itself included only if one of them calls it.
        """
        return _find_reachable_flows(flows, self._children)

    @cached_property
    def leaves_first(self) -> tuple[str, ...]:
        """Return all flows, each after the flows that it calls.

        Flows of a call loop are together.
        """
        return tuple(flow for group in self._groups for flow in group)

    @cached_property
    def call_loops(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of flows that call one another in a loop."""
        return tuple(group for group in self._groups if len(group) > 1)

    @cached_property
    def dependent_groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of flows that are connected by calls, in either direction.

        A flow without calls is a group alone.
        """
        either_way = {flow: self._children[flow] | self._parents[flow] for flow in self._children}
        seen: set[str] = set()
        groups: list[tuple[str, ...]] = []
        for flow in self._children:
            if flow not in seen:
                group = _find_reachable_flows([flow], either_way) | {flow}
                seen |= group
                groups.append(tuple(sorted(group)))
        return tuple(groups)

    @cached_property
    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the strongly connected groups of flows, each after the groups that it calls."""
        group_of: dict[str, tuple[str, ...]] = {}
        for group in _find_strongly_connected(self._children, self._parents):
            group_of |= dict.fromkeys(group, group)
        calls = {
            group: {group_of[child] for flow in group for child in self._children[flow]} - {group}
            for group in dict.fromkeys(group_of[flow] for flow in self._children)
        }
        order: list[tuple[str, ...]] = []
        sorter = TopologicalSorter(calls)
        sorter.prepare()
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order += ready
            sorter.done(*ready)
        return tuple(order)


def _find_reachable_flows(
    start: Iterable[str], edges: Mapping[str, Iterable[str]]
) -> frozenset[str]:
    found: set[str] = set()
    stack = list(start)
    while stack:
        for neighbour in edges.get(stack.pop(), ()):
            if neighbour not in found:
                found.add(neighbour)
                stack.append(neighbour)
    return frozenset(found)


def _find_strongly_connected(
    forward: Mapping[str, frozenset[str]], backward: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, ...]]:
    """Yield the strongly connected groups, by Kosaraju's algorithm.

    It uses no recursion, because a chain of calls may have thousands of flows.
    """
    assigned: set[str] = set()
    for root in reversed(_sort_depth_first(forward)):
        if root in assigned:
            continue
        group = {root}
        stack = [root]
        while stack:
            for caller in backward[stack.pop()]:
                if caller not in assigned and caller not in group:
                    group.add(caller)
                    stack.append(caller)
        assigned |= group
        yield tuple(sorted(group))


def _sort_depth_first(edges: Mapping[str, frozenset[str]]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    for root in edges:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(sorted(edges[root])))]
        while stack:
            flow, rest = stack[-1]
            following = next((child for child in rest if child not in seen), None)
            if following is None:
                stack.pop()
                order.append(flow)
            else:
                seen.add(following)
                stack.append((following, iter(sorted(edges[following]))))
    return order
