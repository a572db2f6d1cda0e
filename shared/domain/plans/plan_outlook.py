"""Predict which flows of a plan pause during their migration, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary

_WITH_JOB = frozenset(action for action in PlannedAction if action.has_job)


class Outlook(StrEnum):
    """Whether a flow's migration will pause, and for what. Each flow of a plan has exactly one."""

    NO_PAUSE = "no_pause"  #: no reason to pause is known
    FIREWALL = "firewall"  #: it pauses until a firewall allows the new addresses
    OWNER = "owner"  #: it pauses until a person gives it an owner who has not left
    PERSON = "person"  #: it pauses until a person changes a manual caller
    HAS_JOB = "has_job"  #: it already has a job, of this or another remediation
    NOT_INCLUDED = "not_included"  #: the plan does not change it


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOutlook:
    """The outlook of one flow, with the firewall issues and manual callers behind it."""

    workflow_id: str
    outlook: Outlook
    #: The firewall issues of this flow, including those that the app fixes.
    firewall_issues: tuple[FirewallIssueSummary, ...] = ()
    #: The callers of this flow that only a person can change.
    manual_callers: tuple[PlannedCaller, ...] = ()
    #: Workflow id of the dependent flow whose pause it shares; empty: the reason is its own.
    waits_for: str = ""


def build_outlooks(job: EnvironmentJob, items: Sequence[PlanItem]) -> dict[str, FlowOutlook]:
    """Return the outlook of each flow of a plan, by workflow id, in the order of `items`."""
    included = {item.workflow_id: item for item in items if item.action in _WITH_JOB}
    issues = _group_issues_by_flow(job, included)
    manual = {flow: _list_manual_callers(item) for flow, item in included.items() if item.callers}
    stopped = {
        flow: Outlook.FIREWALL
        for flow, found in issues.items()
        if any(not issue.fix_by_app for issue in found)
    }
    stopped |= {
        flow: Outlook.OWNER for flow, item in included.items() if _needs_another_owner(item)
    }
    paused_by_person = [flow for flow, callers in manual.items() if callers]
    pauses = _find_paused_flows(included, stopped, paused_by_person)
    is_undecided = job.awaits_approval
    found = {}
    for item in items:
        flow = item.workflow_id
        outlook, cause = pauses.get(flow, (Outlook.NO_PAUSE, ""))
        if flow not in included:
            outlook, cause = Outlook.NOT_INCLUDED, ""
        elif item.action is PlannedAction.CONTINUE_EXISTING_JOB or (
            is_undecided and not item.awaits_approval
        ):
            outlook, cause = Outlook.HAS_JOB, ""
        found[flow] = FlowOutlook(
            workflow_id=flow,
            outlook=outlook,
            firewall_issues=issues.get(flow, ()),
            manual_callers=manual.get(flow, ()),
            waits_for=cause,
        )
    return found


def _needs_another_owner(item: PlanItem) -> bool:
    return item.action.is_copy and item.owner is not None and item.owner.status.has_left


def _find_paused_flows(
    included: Mapping[str, PlanItem],
    stopped: Mapping[str, Outlook],
    paused_by_person: Collection[str],
) -> dict[str, tuple[Outlook, str]]:
    """Return the outlook of each flow that pauses, and the flow that it waits for, or "".

    A flow that is `stopped`, because a person must act before its copy is verified, pauses its
    parents, which are copied later. A flow that pauses also pauses its children, which are retired
    later. `paused_by_person` are flows with a caller that a person changes.
    """
    if not stopped and not paused_by_person:
        return {}
    graph = DependencyGraph(
        {flow: included.keys() & set(item.children) for flow, item in included.items()}
    )
    found = {flow: (outlook, "") for flow, outlook in stopped.items()}
    for flow, outlook in stopped.items():
        for parent in sorted(graph.find_ancestors(flow)):
            found.setdefault(parent, (outlook, flow))
    for flow in paused_by_person:
        found.setdefault(flow, (Outlook.PERSON, ""))
    for flow, (outlook, _) in list(found.items()):
        for child in sorted(graph.find_descendants(flow)):
            found.setdefault(child, (outlook, flow))
    return found


def _group_issues_by_flow(
    job: EnvironmentJob, included: Mapping[str, PlanItem]
) -> dict[str, tuple[FirewallIssueSummary, ...]]:
    """Return the firewall issues of each flow that has any.

    An issue names only its first flows, but concerns every flow that calls the same hosts.
    """
    found: dict[str, list[FirewallIssueSummary]] = {}
    for issue in job.firewall_issues:
        named = frozenset(issue.workflow_ids)
        is_cut = issue.flow_count > len(named)
        hosts = {included[flow].http_hosts for flow in named & included.keys()} if is_cut else set()
        for flow, item in included.items():
            if flow in named or (item.http_hosts in hosts and item.migration_method.has_copy):
                found.setdefault(flow, []).append(issue)
    return {flow: tuple(issues) for flow, issues in found.items()}


def _list_manual_callers(item: PlanItem) -> tuple[PlannedCaller, ...]:
    if not item.action.is_copy or item.migration_method is not MigrationMethod.UPDATE_CALLERS:
        return ()
    return tuple(caller for caller in item.callers if caller.manual_reason)
