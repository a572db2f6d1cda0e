"""Make the plan of one environment from the discovered facts and the rules."""

from collections.abc import Mapping
from dataclasses import replace

from shared.alerts import alert_unreadable_row
from shared.domain.environment import Environment
from shared.domain.ids import derive_copy_id
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.discovery import DiscoveryResult
from shared.domain.plans.plan import PlanCandidate, PlanRequest, build_plan_items
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.remediation import (
    MOST_PREFIXES_OF_ISSUE,
    EnvironmentJob,
    ExternalHost,
    FirewallIssueSummary,
    RemediationMode,
)
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.flows.check_network import read_network
from shared.steps.flows.firewall_fixes import propose_fix
from shared.steps.flows.read_flow_jobs import read_flow_jobs
from shared.steps.write_permission import read_environment_settings


async def make_plan(
    services: Services, job: EnvironmentJob, discovery: DiscoveryResult, *, is_limited: bool = True
) -> tuple[list[PlanItem], list[str]]:
    """Return the plan's items, and findings for the administrator.

    If `is_limited` is False, the environment's flow limit does not apply.
    """
    settings = await read_environment_settings(services, job.environment_id)
    graph = DependencyGraph(discovery.children)
    candidates, unreadable = [], dict[str, str]()
    jobs = await _read_jobs(services, job, discovery)
    for flow in discovery.flows_on_microsoft_key:
        found = jobs.get(flow.workflow_id)
        if isinstance(found, UnreadableRow):  # this flow and its parents are not included
            await alert_unreadable_row(services, found)
            text = f"{flow.display_name} is not included: {found}. {found.fix}"
            found, unreadable[flow.workflow_id] = None, text
        if found:
            flow = replace(flow, display_name=found.display_name)
        copy_id = derive_copy_id(job.environment_id, flow.workflow_id, job.policy_id)
        copy_state = discovery.states.get(copy_id)
        candidates.append(PlanCandidate(flow=flow, job=found, copy_state=copy_state))
    request = PlanRequest(
        environment_id=job.environment_id,
        environment_job_id=job.id,
        flow_ids=frozenset(flow.lower() for flow in job.flow_ids),
        excluded=frozenset({*map(str.lower, settings.excluded_flows), *unreadable}),
        max_flows=settings.max_flows if is_limited else len(candidates),
        is_prepare=job.mode is RemediationMode.PREPARE,
        has_dataverse=discovery.has_dataverse,
    )
    items = build_plan_items(request, candidates, graph)
    return items, [*_format_findings(items, graph, discovery, request), *unreadable.values()]


async def _read_jobs(
    services: Services, job: EnvironmentJob, discovery: DiscoveryResult
) -> dict[str, FlowJob | UnreadableRow]:
    ids = [flow.workflow_id for flow in discovery.flows_on_microsoft_key]
    found = read_flow_jobs(services, job.environment_id, job.policy_id, ids)
    return {identity: one async for identity, one in found}


async def find_firewall_issues(
    services: Services, environment: Environment, items: list[PlanItem]
) -> tuple[tuple[FirewallIssueSummary, ...], tuple[str, ...], tuple[ExternalHost, ...]]:
    """Return each issue with a required service tag, with the flows that it blocks.

    Also returns texts about the other issues, and the hosts whose owners have to be asked.
    """
    optional: dict[str, str] = {}
    required: dict[str, FirewallIssue] = {}
    found: dict[str, FirewallIssueSummary] = {}
    by_hosts: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        is_copied = item.action.is_copy or item.action is PlannedAction.CONTINUE_EXISTING_JOB
        if item.http_hosts and is_copied and item.migration_method.has_copy:
            by_hosts.setdefault(item.http_hosts, []).append(item.workflow_id)
    if not by_hosts:
        return (), (), ()
    network = await read_network(
        services, environment, {host for hosts in by_hosts for host in hosts}
    )
    for hosts, flows in by_hosts.items():
        for issue in network.find_issues(hosts):
            if not issue.is_required:
                optional[issue.name] = f"{issue.message} {issue.fix}"
                continue
            known, required[issue.name] = found.get(issue.name), issue
            found[issue.name] = FirewallIssueSummary(
                name=issue.name,
                kind=issue.kind,
                firewall_name=issue.firewall_name,
                missing_prefixes=issue.missing_prefixes[:MOST_PREFIXES_OF_ISSUE],
                fix=issue.fix,
                workflow_ids=tuple(sorted({*(known.workflow_ids if known else ()), *flows})),
            )
    opened = (await read_environment_settings(services, environment.id)).writable_firewalls
    if opened:
        found |= await _add_planned_fixes(services, found, required, opened)
    by_host: dict[str, list[str]] = {}
    for hosts, flows in by_hosts.items():
        for host in hosts:
            by_host.setdefault(host, []).extend(flows)
    external = tuple(
        ExternalHost(
            host=issue.name.partition(":")[2],
            prefixes=issue.missing_prefixes,
            workflow_ids=tuple(sorted(by_host[issue.name.partition(":")[2]])),
            flow_count=len(by_host[issue.name.partition(":")[2]]),
        )
        for issue in network.find_external_host_issues(by_host)
    )
    return tuple(found.values()), tuple(optional.values()), external


async def _add_planned_fixes(
    services: Services,
    found: Mapping[str, FirewallIssueSummary],
    issues: Mapping[str, FirewallIssue],
    opened: frozenset[str],
) -> dict[str, FirewallIssueSummary]:
    with_fix: dict[str, FirewallIssueSummary] = {}
    for name, issue in issues.items():
        if issue.kind not in services.firewalls:
            continue
        fix = await propose_fix(services, issue)
        list_id = fix.added_entries.resource_id.lower() if fix.added_entries else ""
        if opened & {issue.resource_id.lower(), list_id}:
            why = fix.unavailable_reason or "; ".join(fix.notes)
            manual = "" if fix.added_entries else f" The app cannot change it: {why}"
            with_fix[name] = replace(
                found[name],
                fix_by_app=fix.summary if fix.added_entries else "",
                fix=f"{found[name].fix}{manual}",
            )
    return with_fix


def _format_findings(
    items: list[PlanItem], graph: DependencyGraph, discovery: DiscoveryResult, request: PlanRequest
) -> list[str]:
    findings = list(discovery.findings)
    planned = {item.workflow_id: item for item in items}
    for flow, missing in graph.missing.items():
        if flow in planned:
            findings.append(
                f"{planned[flow].display_name} runs a child flow that does not exist in this "
                f"environment: {', '.join(sorted(missing))}."
            )
    known = {item.workflow_id for item in items} | {item.flow_name.lower() for item in items}
    findings += [
        f"{asked} was requested, but does not stay on Microsoft's key in this environment."
        for asked in sorted(request.flow_ids - known)
    ]
    return findings + _list_manual_connections(planned, discovery)


def _list_manual_connections(
    planned: Mapping[str, PlanItem], discovery: DiscoveryResult
) -> list[str]:
    return [
        f"{planned[flow.workflow_id].display_name} embeds the connection {label} of a custom "
        "connector. A person has to create a connection reference for it."
        for flow in discovery.flows_on_microsoft_key
        if flow.definition and flow.workflow_id in planned
        for label in flow.definition.custom_connections
        if planned[flow.workflow_id].action.is_work
    ]
