"""Make the plan of one environment: what was found, the rules, and the writes in words."""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.callers import agents
from shared.domain.conversions.proposal import Proposal, propose
from shared.domain.definitions.flow_definition import UnreadableDefinition
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.display_names import copy_name, retired_name, shortened
from shared.domain.environment import Environment
from shared.domain.identity import job_id
from shared.domain.jobs.job import Pattern
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.discovery import Discovery
from shared.domain.plans.plan import Candidate, Request, decide
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.preparation import with_proposal, writes_of
from shared.domain.plans.remediation import EnvironmentJob, NetworkFinding, RemediationMode
from shared.domain.plans.what_fits import fitting_callers
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import NotFound, Refused
from shared.services import Services
from shared.steps.copying.place_copy import solutions_to_join
from shared.steps.copying.share_copy import RUN_ONLY_NOTE
from shared.steps.flows.calling_places import places_calling, url_id_of_runs
from shared.steps.flows.check_network import read_network
from shared.steps.gate import settings_of

#: Before an original is stopped, what can be known is looked at (`ending/could_start.py`).
_NOT_KNOWN = (
    "Whether a data policy would refuse to start it or its copy: it runs now, so none forbids it.",
    "Whether its owner may still use connections of others: the platform says so at the start.",
    "Whether its owner's licence covers its connectors: it is looked at for HTTP alone.",
)
#: Of a flow without a row in Dataverse nobody can be acted for (contract §15.2, §15.3).
_NOT_KNOWN_OUTSIDE_SOLUTIONS = (
    "Whether the app, or the operator, may turn it on again: it is in no solution.",
)


async def make_plan(
    services: Services, job: EnvironmentJob, discovery: Discovery, *, is_limited: bool = True
) -> tuple[list[PlanItem], list[str]]:
    """Return the plan's items and what the administrator should know beside them.

    `is_limited=False`: whatever the environment's limit is, nothing is left for the next plan.
    """
    settings = await settings_of(services, job.environment_id)
    graph = DependencyGraph(discovery.children)
    candidates = []
    for flow in discovery.held_back:
        identity = job_id(job.environment_id, flow.workflow_id, job.policy_id)
        kept = await services.tables.jobs.get(job.environment_id, identity)
        if kept:
            flow = replace(flow, display_name=kept.item.display_name)
        candidates.append(Candidate(flow=flow, job=kept.item if kept else None))
    request = Request(
        environment_job_id=job.id,
        flow_ids=frozenset(flow.lower() for flow in job.flow_ids),
        excluded=frozenset(flow.lower() for flow in settings.excluded_flows),
        limit=settings.limit if is_limited else len(candidates),
        is_preparation=job.mode is RemediationMode.PREPARE,
        has_dataverse=discovery.has_dataverse,
    )
    items = decide(request, candidates, graph)
    return items, _findings(items, graph, discovery, request)


async def complete(
    services: Services, environment: Environment, item: PlanItem, *, asks_for_url: bool = True
) -> PlanItem:
    """Return the item with its trigger URL's id, its callers, co-owners and solutions. Reads only.

    The id stands in the links of a run, which an administrator may read without being co-owner: a
    call of the flow service's small budget, unless `asks_for_url` is false.
    """
    if item.is_complete:
        return item
    if asks_for_url and item.has_trigger_url and not item.url_id and item.is_on:
        item = replace(item, url_id=await url_id_of_runs(services, environment.id, item.flow_name))
    if item.edits and not item.proposal:
        item = await _with_proposal(services, environment, item)
    if item.action.is_copy:
        item = await _with_sharing(services, environment, item)
    if item.action.is_copy and item.is_on:
        outside = () if item.in_solution else _NOT_KNOWN_OUTSIDE_SOLUTIONS
        item = replace(item, not_known=_NOT_KNOWN + outside)
    return await with_callers(services, environment.id, item)


async def _with_proposal(services: Services, environment: Environment, item: PlanItem) -> PlanItem:
    """Return the item with what a conversion of its definition would change."""
    try:
        row = await services.workflows.get(environment, item.workflow_id)
        found = propose(row.client_data, item.edits)
    except (Refused, NotFound, UnreadableDefinition) as err:
        found = Proposal(obstacles=(f"The definition cannot be read: {redact(str(err))}",))
    return with_proposal(item, found)


async def _with_sharing(services: Services, environment: Environment, item: PlanItem) -> PlanItem:
    """Return the item with whom its copy is shared with and the solutions that the copy joins.

    Of a flow in no solution only the flow service tells, a call of its small budget: not asked.
    """
    is_run_by_people = TriggerCategory(item.category).can_have_run_only_users
    item = replace(item, notes=(RUN_ONLY_NOTE,) if is_run_by_people else ())
    if not item.in_solution:
        return item
    try:
        shares = await services.flow_sharing.list(environment, item.workflow_id)
        solutions = await solutions_to_join(services, environment, item.workflow_id)
    except (Refused, NotFound):
        return item  # the job says what is missing, when it is its turn
    titles = tuple(solution.title for solution in solutions)
    return replace(item, co_owners=len(shares), solutions=titles)


async def with_callers(
    services: Services,
    environment_id: str,
    item: PlanItem,
    *,
    but_not: frozenset[str] = frozenset(),
) -> PlanItem:
    """Return the item with the callers that the last search found, and its writes.

    `but_not` are Dataverse ids of flows that do not count as callers.
    """
    found = places_calling(
        services,
        environment_id,
        url_id=item.url_id,
        flow_ids={item.workflow_id, item.flow_name.lower()},  # a canvas app may hold either
    )
    callers = {
        place.id: PlannedCaller(
            kind=place.caller.kind, label=place.caller.label, manual=place.caller.manual
        )
        async for place in found
        if place.caller.workflow_id not in but_not
    }
    if TriggerCategory(item.category).is_run_by_agents:
        callers[agents.KIND] = PlannedCaller(
            kind=agents.KIND, label=agents.LABEL, manual=agents.BY_THEIR_MAKERS
        )
    item = replace(item, callers=fitting_callers(tuple(callers.values())))
    return replace(item, writes=_writes(item), is_complete=True)


async def network_findings(
    services: Services, environment: Environment, items: list[PlanItem]
) -> tuple[tuple[NetworkFinding, ...], tuple[str, ...]]:
    """Return each firewall gap once, with the flows whose cut-over it blocks.

    Beside them, in words, what firewalls lack that nothing requires.
    """
    beside: dict[str, str] = {}
    found: dict[str, NetworkFinding] = {}
    by_hosts: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        is_copied = item.action.is_copy or item.action is PlannedAction.ADOPT
        if item.http_hosts and is_copied and item.pattern.has_copy:
            by_hosts.setdefault(item.http_hosts, []).append(item.workflow_id)
    if not by_hosts:
        return (), ()
    network = await read_network(services, environment)
    for hosts, flows in by_hosts.items():
        for gap in network.gaps(hosts):
            if not gap.is_required:
                beside[gap.name] = f"{gap.text} {gap.instruction}"
                continue
            known = found.get(gap.name)
            found[gap.name] = NetworkFinding(
                name=gap.name,
                kind=gap.kind,
                firewall=gap.firewall_name,
                missing=gap.missing_prefixes[:50],
                instruction=gap.instruction,
                workflow_ids=tuple(sorted({*(known.workflow_ids if known else ()), *flows})),
            )
    return tuple(found.values()), tuple(beside.values())


def _writes(item: PlanItem) -> tuple[str, ...]:
    if not item.action.is_work:
        return ()
    references = (
        f"make a connection reference for the connection {label}, unless one leads to it"
        for label in item.embedded_connections
    )
    if not item.action.is_copy:
        return writes_of(item)
    title = item.display_name
    writes = [f"create the flow {copy_name(title)}, off, for the original's owner"]
    writes += [f"add the copy to the solution {solution}" for solution in item.solutions]
    if item.co_owners is None:
        writes.append(f"share the copy as {title} is shared")
    elif item.co_owners:
        many = "s" if item.co_owners > 1 else ""
        writes.append(f"share the copy with {item.co_owners} co-owner{many} of {title}")
    if item.has_trigger_url and item.pattern is Pattern.CALLED:
        writes += [
            f"make the operator co-owner of {title} and of its copy to read their URLs",
            "take the operator's co-ownership of both back, each time they were read",
        ]
    if item.pattern is Pattern.CALLED:
        writes.append("turn the copy on")
        writes += [f"update {caller.label}" for caller in item.callers if not caller.manual]
        writes.append("update callers that are found until then")
    if item.pattern is Pattern.SWAP:
        writes += [f"turn {title} off", "turn the copy on"]
    if item.pattern is Pattern.CALLED:
        writes.append(f"turn {title} off once it has been quiet")
    if item.in_solution and retired_name(title) != title:
        writes.append(f"rename {title} to {retired_name(title)}")
    is_long = shortened(title) != title
    else_short = f", or to {shortened(title)} where Dataverse does not take that" if is_long else ""
    writes.append(f"rename the copy to {title}{else_short}")
    return (*references, *writes)


def _findings(
    items: list[PlanItem], graph: DependencyGraph, discovery: Discovery, request: Request
) -> list[str]:
    findings = list(discovery.findings)
    planned = {item.workflow_id: item for item in items}
    for flow, missing in graph.missing.items():
        if flow in planned:
            findings.append(
                f"{planned[flow].display_name} runs a child flow that this environment does not "
                f"have: {', '.join(sorted(missing))}."
            )
    known = {item.workflow_id for item in items} | {item.flow_name.lower() for item in items}
    findings += [
        f"{asked} was asked for, but does not stay on Microsoft's key here."
        for asked in sorted(request.flow_ids - known)
    ]
    return findings + _by_hand(planned, discovery)


def _by_hand(planned: Mapping[str, PlanItem], discovery: Discovery) -> list[str]:
    """Name the connections that need a reference which only a person can make."""
    return [
        f"{planned[flow.workflow_id].display_name} embeds the connection {label} of a custom "
        "connector: its copy needs a connection reference for it that somebody made."
        for flow in discovery.held_back
        if flow.definition and flow.workflow_id in planned
        for label in flow.definition.custom_connections
        if planned[flow.workflow_id].action.is_work
    ]
