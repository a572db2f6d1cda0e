"""Which flow runs which: the order of copying and retiring, families, cycles, missing children.

A parent's copy is written against its children's copies, so children come first; a cycle or a
child that nobody has is a finding to report, never a reason to stop. A flow that runs itself waits
for nobody: its call of itself is none here.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter


class DependencyGraph:
    """Flows by id, each with the ids of the flows it calls. Immutable; order is deterministic."""

    def __init__(self, children: Mapping[str, Iterable[str]]) -> None:
        """Take every known flow as a key; a called id that is no key is a missing child."""
        called = {flow: frozenset(ids) - {flow} for flow, ids in sorted(children.items())}
        # Not the dictionary's keys: an intersection with those walks over all of them.
        known = frozenset(called)
        self._children = {flow: ids & known for flow, ids in called.items()}
        #: Ids of called flows that the graph does not contain, by the calling flow.
        self.missing = {flow: ids - known for flow, ids in called.items() if not ids <= known}
        parents: dict[str, set[str]] = {flow: set() for flow in called}
        for flow, ids in self._children.items():
            for child in ids:
                parents[child].add(flow)
        self._parents = {flow: frozenset(ids) for flow, ids in parents.items()}

    def children_of(self, flow: str) -> frozenset[str]:
        """Flows it calls directly, without the missing ones."""
        return self._children.get(flow, frozenset())

    def parents_of(self, flow: str) -> frozenset[str]:
        """Flows that call it directly."""
        return self._parents.get(flow, frozenset())

    def ancestors_of(self, *flows: str) -> frozenset[str]:
        """Every flow that reaches one of these by calls; the flows themselves only in a cycle."""
        return _reached(flows, self._parents)

    def descendants_of(self, *flows: str) -> frozenset[str]:
        """Every flow that these reach by calls; the flows themselves only in a cycle."""
        return _reached(flows, self._children)

    @cached_property
    def leaves_first(self) -> tuple[str, ...]:
        """Each flow once, after all it calls; the members of a cycle stand together, by id."""
        return tuple(flow for group in self._groups for flow in group)

    @cached_property
    def call_loops(self) -> tuple[tuple[str, ...], ...]:
        """Groups of flows that call one another in a circle."""
        return tuple(group for group in self._groups if len(group) > 1)

    @cached_property
    def dependent_groups(self) -> tuple[tuple[str, ...], ...]:
        """Groups of flows connected by calls in either direction, a lone flow by itself."""
        either_way = {flow: self._children[flow] | self._parents[flow] for flow in self._children}
        seen: set[str] = set()
        families: list[tuple[str, ...]] = []
        for flow in self._children:
            if flow not in seen:
                family = _reached([flow], either_way) | {flow}
                seen |= family
                families.append(tuple(sorted(family)))
        return tuple(families)

    @cached_property
    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """Strongly connected groups, called ones before callers."""
        group_of: dict[str, tuple[str, ...]] = {}
        for group in _strongly_connected(self._children, self._parents):
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


def _reached(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    stack = list(start)
    while stack:
        for neighbour in edges.get(stack.pop(), ()):
            if neighbour not in found:
                found.add(neighbour)
                stack.append(neighbour)
    return frozenset(found)


def _strongly_connected(
    forward: Mapping[str, frozenset[str]], backward: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, ...]]:
    """Kosaraju's algorithm without recursion: a chain of calls may be thousands long."""
    assigned: set[str] = set()
    for root in reversed(_finished(forward)):
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


def _finished(edges: Mapping[str, frozenset[str]]) -> list[str]:
    """Flows in the order in which a depth-first walk leaves them."""
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
