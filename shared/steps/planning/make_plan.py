"""Make the plan of one environment: what was found, the rules, and the writes in words."""

from collections.abc import Mapping
from dataclasses import replace

from shared.alerts import tell_unreadable
from shared.domain.environment import Environment
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.discovery import DiscoveryResult
from shared.domain.plans.plan import PlanCandidate, PlanRequest, build_plan_items
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.remediation import (
    EnvironmentJob,
    ExternalHost,
    FirewallIssueSummary,
    RemediationMode,
)
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.flows.check_network import read_network
from shared.steps.flows.firewall_fixes import propose_fix
from shared.steps.write_permission import settings_of


async def make_plan(
    services: Services, job: EnvironmentJob, discovery: DiscoveryResult, *, is_limited: bool = True
) -> tuple[list[PlanItem], list[str]]:
    """Return the plan's items and what the administrator should know beside them.

    `is_limited=False`: whatever the environment's limit is, nothing is left for the next plan.
    """
    settings = await settings_of(services, job.environment_id)
    graph = DependencyGraph(discovery.children)
    candidates, unreadable = [], dict[str, str]()
    jobs = await _jobs(services, job, discovery)
    for flow in discovery.flows_on_microsoft_key:
        found = jobs.get(flow.workflow_id)
        if isinstance(found, UnreadableRow):  # this flow is left out, and those that run it
            await tell_unreadable(services, found)
            text = f"{flow.display_name} is left out: {found}. {found.instruction}"
            found, unreadable[flow.workflow_id] = None, text
        if found:
            flow = replace(flow, display_name=found.display_name)
        candidates.append(PlanCandidate(flow=flow, job=found))
    request = PlanRequest(
        environment_job_id=job.id,
        flow_ids=frozenset(flow.lower() for flow in job.flow_ids),
        excluded=frozenset({*map(str.lower, settings.excluded_flows), *unreadable}),
        limit=settings.limit if is_limited else len(candidates),
        is_prepare=job.mode is RemediationMode.PREPARE,
        has_dataverse=discovery.has_dataverse,
    )
    items = build_plan_items(request, candidates, graph)
    return items, [*_findings(items, graph, discovery, request), *unreadable.values()]


async def _jobs(
    services: Services, job: EnvironmentJob, discovery: DiscoveryResult
) -> dict[str, FlowJob | UnreadableRow]:
    """Return the jobs of the flows that stay, by workflow id: one query, however many there are."""
    flows = {
        derive_flow_job_id(job.environment_id, flow.workflow_id, job.policy_id): flow.workflow_id
        for flow in discovery.flows_on_microsoft_key
    }
    found: dict[str, FlowJob | UnreadableRow] = {}
    async for row in services.tables.flow_jobs.scan(job.environment_id):
        identity = row.row[2] if isinstance(row, UnreadableRow) else row.item.id
        if identity in flows:
            found[flows[identity]] = row if isinstance(row, UnreadableRow) else row.item
    return found


async def network_findings(
    services: Services, environment: Environment, items: list[PlanItem]
) -> tuple[tuple[FirewallIssueSummary, ...], tuple[str, ...], tuple[ExternalHost, ...]]:
    """Return each firewall gap once, with the flows whose cut-over it blocks.

    Beside them, in words, what firewalls lack that nothing requires; and whose owners are to be
    asked.
    """
    beside: dict[str, str] = {}
    required: dict[str, FirewallIssue] = {}
    found: dict[str, FirewallIssueSummary] = {}
    by_hosts: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        is_copied = item.action.is_copy or item.action is PlannedAction.CONTINUE_EXISTING_JOB
        if item.http_hosts and is_copied and item.pattern.has_copy:
            by_hosts.setdefault(item.http_hosts, []).append(item.workflow_id)
    if not by_hosts:
        return (), (), ()
    network = await read_network(
        services, environment, {host for hosts in by_hosts for host in hosts}
    )
    for hosts, flows in by_hosts.items():
        for gap in network.gaps(hosts):
            if not gap.is_required:
                beside[gap.name] = f"{gap.text} {gap.instruction}"
                continue
            known, required[gap.name] = found.get(gap.name), gap
            found[gap.name] = FirewallIssueSummary(
                name=gap.name,
                kind=gap.kind,
                firewall=gap.firewall_name,
                missing=gap.missing_prefixes[:50],
                instruction=gap.instruction,
                workflow_ids=tuple(sorted({*(known.workflow_ids if known else ()), *flows})),
            )
    opened = (await settings_of(services, environment.id)).writable_firewalls
    if opened:
        found |= await _with_repairs(services, found, required, opened)
    by_host: dict[str, list[str]] = {}
    for hosts, flows in by_hosts.items():
        for host in hosts:
            by_host.setdefault(host, []).extend(flows)
    external = tuple(
        ExternalHost(
            host=gap.name.partition(":")[2],
            prefixes=gap.missing_prefixes,
            workflow_ids=tuple(sorted(by_host[gap.name.partition(":")[2]])),
            flows=len(by_host[gap.name.partition(":")[2]]),
        )
        for gap in network.external_targets(by_host)
    )
    return tuple(found.values()), tuple(beside.values()), external


async def _with_repairs(
    services: Services,
    found: Mapping[str, FirewallIssueSummary],
    gaps: Mapping[str, FirewallIssue],
    opened: frozenset[str],
) -> dict[str, FirewallIssueSummary]:
    """Return the findings of firewalls that somebody lets the app open, with what it will do."""
    repaired: dict[str, FirewallIssueSummary] = {}
    for name, gap in gaps.items():
        if gap.kind not in services.firewalls:
            continue
        repair = await propose_fix(services, gap)
        list_id = repair.opening.resource_id.lower() if repair.opening else ""
        if opened & {gap.resource_id.lower(), list_id}:
            why = repair.refusal or "; ".join(repair.notes)
            by_hand = "" if repair.opening else f" The app cannot open it: {why}"
            repaired[name] = replace(
                found[name],
                repair=repair.summary if repair.opening else "",
                instruction=f"{found[name].instruction}{by_hand}",
            )
    return repaired


def _findings(
    items: list[PlanItem], graph: DependencyGraph, discovery: DiscoveryResult, request: PlanRequest
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


def _by_hand(planned: Mapping[str, PlanItem], discovery: DiscoveryResult) -> list[str]:
    """Name the connections that need a reference which only a person can make."""
    return [
        f"{planned[flow.workflow_id].display_name} embeds the connection {label} of a custom "
        "connector: its copy needs a connection reference for it that somebody made."
        for flow in discovery.flows_on_microsoft_key
        if flow.definition and flow.workflow_id in planned
        for label in flow.definition.custom_connections
        if planned[flow.workflow_id].action.is_work
    ]
