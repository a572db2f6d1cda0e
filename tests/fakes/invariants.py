"""Check invariants of the design.

Each check returns the violations as texts without signatures. Checks that apply at any moment can
be added to `World.watchers`, which run after every write.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.flow import FlowState
from tests.fakes.definitions import find_lineage, is_self_starting, list_http_targets, parse_facts
from tests.fakes.flow_service import compute_signature
from tests.fakes.memory_store import MemoryStore
from tests.fakes.run_jobs import find_flow, find_urls
from tests.fakes.tenant import FakeFlow
from tests.fakes.traffic import UrlHolder
from tests.fakes.world import World


def find_second_copies(world: World) -> list[str]:
    """Invariant 1: an original has at most one live copy for each enterprise policy."""
    copies: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for flow in world.list_flows():
        if flow.made_by_app:
            key = flow.environment_id, find_lineage(flow.client_data), flow.policy_id
            copies[key].append(flow.workflow_id)
    return [
        f"the original {lineage} has the copies {ids}"
        for (_, lineage, _), ids in copies.items()
        if len(ids) > 1
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerWatch:
    """Invariant 2: every caller that worked when the watch began still works."""

    broken_before: frozenset[str]

    def __call__(self, world: World) -> list[str]:
        """Return the callers that are broken now."""
        return [
            f"{who}: {why}"
            for who, why in _find_broken_callers(world)
            if who not in self.broken_before
        ]


def watch_callers(world: World) -> CallerWatch:
    """Begin a watch of invariant 2 over the callers that work now."""
    return CallerWatch(broken_before=frozenset(who for who, _ in _find_broken_callers(world)))


def find_pairs_on_together(world: World) -> list[str]:
    """Invariant 5: a self-starting original and its copy are never on at the same time."""
    on: dict[str, list[str]] = defaultdict(list)
    for flow in world.list_flows():
        if flow.is_on and is_self_starting(flow.client_data):
            on[find_lineage(flow.client_data) or flow.workflow_id].append(flow.workflow_id)
    return [f"the self-starting flows {ids} are on together" for ids in on.values() if len(ids) > 1]


def find_flows_left_off(world: World, were_on: Collection[str]) -> list[str]:
    """Invariant 8: of each flow that was on (`were_on` contains the ids), the original or a copy is
    on.
    """
    on = {find_lineage(flow.client_data) for flow in world.list_flows() if flow.is_on}
    on |= {flow.workflow_id for flow in world.list_flows() if flow.is_on}
    flows = {flow.workflow_id: flow for flow in world.flows_by_url_id.values()}
    return [
        f"neither {flows[one].name} nor a copy of it is on"
        for one in were_on
        if one not in on and find_lineage(flows[one].client_data) not in on
    ]


def find_flows_stopped_too_early(world: World, quiet: timedelta) -> list[str]:
    """Invariant 5: no called original was turned off within the no-call period after its last
    run.
    """
    wrong = []
    flows = {flow.workflow_id: flow for flow in world.flows_by_url_id.values()}
    for switch in world.switches:
        flow = flows[switch.workflow_id]
        if flow.made_by_app or switch.state is not FlowState.OFF:
            continue
        if is_self_starting(flow.client_data):
            continue
        if switch.last_run is not None and switch.at - switch.last_run < quiet:
            wrong.append(f"{flow.name} was stopped {switch.at - switch.last_run} after a run")
    return wrong


def find_writes_without_opt_in(world: World, opted_in: Collection[str]) -> list[str]:
    """Invariant 7: no write was made in an environment that is not opted in."""
    return [
        f"{write.what} {write.target}"
        for write in world.writes
        if write.environment_id is not None and write.environment_id not in opted_in
    ]


def find_signatures(world: World, text: str) -> list[str]:
    """Invariant 6: return the flows whose signature a text contains."""
    return [flow.name for flow in world.flows_by_url_id.values() if compute_signature(flow) in text]


def find_signatures_in_store(world: World, store: MemoryStore) -> list[str]:
    """Invariant 6: return the stored rows that contain a signature."""
    return [
        f"{row.table}/{row.partition}/{row.key} holds the signature of {flow}"
        for row in store.rows.values()
        for flow in find_signatures(world, " ".join(map(str, row.columns.values())))
    ]


def watch(world: World, *checks: Callable[[World], list[str]]) -> None:
    """Check invariants 1 and 2, a part of 5, and the given `checks` after every write."""
    world.watchers += [find_second_copies, watch_callers(world), find_pairs_on_together, *checks]


def _find_broken_callers(world: World) -> Iterator[tuple[str, str]]:
    for system in world.traffic.systems:
        if isinstance(system, UrlHolder):
            yield from ((system.name, why) for why in _find_broken_url(world, system.find_url()))
    for flow in world.list_flows():
        if flow.is_on:
            yield from _find_broken_calls(world, flow)


def _find_broken_calls(world: World, flow: FakeFlow) -> Iterator[tuple[str, str]]:
    """Yield the calls of a flow that would fail, each with the reason."""
    for name, uri in list_http_targets(flow.client_data, flow.variables):
        for url in find_urls(uri):
            yield from ((f"{flow.name}/{name}", why) for why in _find_broken_url(world, url))
    flows = world.get_environment(flow.environment_id).flows
    for child_id in parse_facts(flow.client_data).children:
        child = flows.get(child_id)
        if child is None or not child.is_on:
            yield f"{flow.name}/{child_id}", "runs a child flow that is off or gone"


def _find_broken_url(world: World, url: str | None) -> Iterator[str]:
    if url is None:
        yield "holds no URL"
        return
    _, refusal = find_flow(world, url)
    if refusal is not None:
        yield f"holds a URL that answers {refusal.status} {refusal.code}"
