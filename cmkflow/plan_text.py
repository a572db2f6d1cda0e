"""Format plans for the terminal: problems and one line per flow, or every planned change."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import (
    Command,
    Headline,
    Paragraph,
    format_argument,
    format_names,
    format_number,
    shorten_resource_ids,
)
from cmkflow.plan_details import format_plan_details
from shared.domain.flow_owner import OwnerStatus
from shared.domain.plans.display_text import ACTION_WORDS, build_plan_sort_key
from shared.domain.plans.plan_item import PlannedAction

#: Most findings of an environment that the short text shows.
_FINDINGS = 3
_NAMED = 3
#: Actions whose words are too long for a column.
_SHORT: dict[str, str] = {
    PlannedAction.COPY_WITH_DEPENDENT_FLOWS: "copy + dependents",
    PlannedAction.CUT_OVER: "cut over",
    PlannedAction.COPY_OFF: "copy, stays off",
}
_NEEDS_CHANGES = str(PlannedAction.NEEDS_CHANGES)
_NO_CHANGE = str(PlannedAction.NO_CHANGE)


@dataclass(frozen=True)
class PlanSummary:
    """The plan of one environment, with facts for `cmkflow plan show` and `cmkflow approve`."""

    plan: Any

    @property
    def name(self) -> str:
        """Return the name of the environment."""
        job = self.plan["environment_job"]
        return str(job["environment_name"] or job["environment_id"])

    @cached_property
    def awaiting_ids(self) -> frozenset[str]:
        return frozenset(self.plan["awaiting_flow_ids"])

    @cached_property
    def included_flows(self) -> list[Any]:
        """Return the flows that the plan changes, those with a risk first."""
        left_out = {_NEEDS_CHANGES, _NO_CHANGE}
        found = [one for one in self.plan["items"] if one["action"] not in left_out]
        return sorted(found, key=lambda one: (not self.find_risk(one), *_build_sort_key(one)))

    @cached_property
    def flows_needing_changes(self) -> list[Any]:
        found = [one for one in self.plan["items"] if one["action"] == _NEEDS_CHANGES]
        return sorted(found, key=_build_sort_key)

    @cached_property
    def firewall_names(self) -> dict[str, list[str]]:
        """Return the names of the firewalls that have an issue with each flow, by workflow id."""
        found: dict[str, list[str]] = {}
        for issue in self.plan["environment_job"]["firewall_issues"]:
            for flow in issue["workflow_ids"]:
                found.setdefault(flow, []).append(issue["firewall_name"])
        return found

    def find_risk(self, item: Any) -> str:
        """Return the most important risk of a flow, or "" if it has none."""
        firewalls = self.firewall_names.get(item["workflow_id"], [])
        manual = list_manual_callers(item)
        if item["changed_since_approval"]:
            return "changed since the approval"
        if _needs_another_owner(item):
            return f"owner {item['owner']['status']}".replace("_", " ")
        if firewalls:
            return (
                f"firewall {firewalls[0]}" if len(firewalls) == 1 else f"{len(firewalls)} firewalls"
            )
        return format_number(len(manual), "manual caller") if manual else ""

    def list_risks(self, flows: Sequence[Any]) -> Iterator[str]:
        """Yield a sentence for each kind of risk that an approval of these flows accepts."""
        denied = [one for one in flows if one["workflow_id"] in self.firewall_names]
        if denied:
            names = sorted(
                {name for one in denied for name in self.firewall_names[one["workflow_id"]]}
            )
            firewalls = format_names(names, _NAMED)
            yield f"{_format_flow_count(denied)} may be blocked by firewalls: {firewalls}"
        if left := [one for one in flows if _needs_another_owner(one)]:
            left_count = _format_flow_count(left)
            yield f"{left_count} whose owner is disabled or not found: give another owner"
        if manual := [one for one in flows if list_manual_callers(one)]:
            yield f"{_format_flow_count(manual)} with callers that only a person can change"
        if unknown := [one for one in flows if one["unknowns"]]:
            number = _format_flow_count(unknown)
            yield f"{number} with unknowns: facts that the app cannot read before the copy"
        if cut := [one for one in flows if one["action"] == PlannedAction.CUT_OVER]:
            yield f"{_format_flow_count(cut)} cut over: original and copy are both off for a moment"

    def format_change_count(self, flows: Sequence[Any]) -> str:
        return format_number(sum(len(one["planned_changes"]) for one in flows), "planned change")


def format_plan(answer: Any, remediation: str, *, is_full: bool = False) -> RenderableType:
    """Return plans as text: totals, problems and a line for each flow. `is_full` shows every
    planned change.
    """
    summaries = [PlanSummary(plan) for plan in answer["items"]]
    parts = [
        part
        for one in summaries
        for part in (*_format_single_plan(one, remediation, is_full), Text())
    ]
    return Group(*parts[:-1]) if parts else Text("No plan is ready.")


def format_approval(plan: Any, remediation: str, excluded: Collection[str]) -> RenderableType:
    """Return what starts when the plan is approved without the flows in `excluded`."""
    one = PlanSummary(plan)
    awaiting = [flow for flow in plan["items"] if flow["workflow_id"] in one.awaiting_ids]
    flows = [flow for flow in awaiting if flow["workflow_id"] not in excluded]
    lines = [
        f"{_format_flow_count(flows)}, {one.format_change_count(flows)}",
        *one.list_risks(flows),
    ]
    if excluded:
        names = [flow["display_name"] for flow in awaiting if flow["workflow_id"] in excluded]
        lines.append(f"Excluded from the approval: {', '.join(names)}")
    if one.flows_needing_changes:
        needing = _format_flow_count(one.flows_needing_changes)
        lines.append(f"Not included, because they need changes first: {needing}")
    left = f"Approve plan: {one.name} · #{remediation[:8]}"
    head = Headline(left=left, right=f"version {plan['version']}")
    return Group(head, *(Paragraph(text=line) for line in lines))


def list_manual_callers(item: Any) -> list[Any]:
    if item["action"] == PlannedAction.ADD_TO_SOLUTION:  # without a copy, no caller changes
        return []
    return [one for one in item["callers"] if one["manual_reason"]]


def _needs_another_owner(item: Any) -> bool:
    owner = item.get("owner")
    return (
        bool(owner)
        and PlannedAction(item["action"]).is_copy
        and (OwnerStatus(owner["status"]).has_left)
    )


def _format_single_plan(
    one: PlanSummary, remediation: str, is_full: bool
) -> Iterator[RenderableType]:
    job = one.plan["environment_job"]
    yield Headline(
        left=f"Plan: {one.name} · #{remediation[:8]}", right=_format_plan_state(job), style="yellow"
    )
    yield Text(_format_totals(one))
    yield Text(_format_plan_subtitle(one))
    accepted = list(one.list_risks(one.included_flows))
    shown = job["findings"] if is_full else [shorten_resource_ids(text) for text in job["findings"]]
    shown = shown if is_full else shown[:_FINDINGS]
    if accepted or shown:
        yield Text("\nBefore you approve", style="bold")
        yield from (Paragraph(text=text) for text in accepted)
        yield from (Paragraph(text=text, max_lines=None if is_full else 1) for text in shown)
        if more := len(job["findings"]) - len(shown):
            yield Paragraph(text=f"{format_number(more, 'more note')}: --full")
    if is_full:
        yield from format_plan_details(one.plan, sorted(one.plan["items"], key=_build_sort_key))
        return
    if one.included_flows:
        columns = (*_COLUMNS, Column("Risk", one.find_risk))
        yield Text()
        yield Listing(columns=columns, items=one.included_flows)
    if one.flows_needing_changes:
        yield Text(f"\nNeeds changes first ({len(one.flows_needing_changes)})", style="bold yellow")
        yield Listing(columns=_NEEDED_COLUMNS, items=one.flows_needing_changes)
    yield from _format_firewalls(one)


def _format_firewalls(one: PlanSummary) -> Iterator[RenderableType]:
    issues = one.plan["environment_job"]["firewall_issues"]
    if not issues:
        return
    names = {item["workflow_id"]: item["display_name"] for item in one.plan["items"]}

    def format_blocked_flows(issue: Any) -> str:
        return format_names([names.get(flow, flow) for flow in issue["workflow_ids"]], _NAMED)

    columns = (
        Column("Firewall", lambda issue: issue["firewall_name"]),
        Column("Kind", lambda issue: issue["kind"].replace("_", " ")),
        Column("Flows", lambda issue: issue["flow_count"], Kind.NUMBER),
        Column("Blocks", format_blocked_flows),
        Column("The app will", lambda issue: issue["fix_by_app"]),
    )
    yield Text(f"\nFirewalls ({len(issues)})", style="bold")
    yield Listing(columns=columns, items=issues)
    environment = format_argument(one.name, one.plan["environment_job"]["environment_id"])
    yield Command(label="Fix", command=f"cmkflow network fix --environment {environment}")


def _format_plan_state(job: Any) -> str:
    if job["state"] != "awaiting_approval" and job["approved_by"]:
        return f"Approved by {job['approved_by']}"
    return str(job["state"]).replace("_", " ").capitalize()


def _format_totals(one: PlanSummary) -> str:
    counts = Counter(item["action"] for item in one.plan["items"])
    at_risk = sum(bool(one.find_risk(item)) for item in one.included_flows)
    parts = (
        format_number(len(one.included_flows), "flow") if one.included_flows else "No flow",
        f"{at_risk} with a risk" if at_risk else "",
        f"{counts[_NEEDS_CHANGES]} need changes first" if counts[_NEEDS_CHANGES] else "",
        f"{counts[_NO_CHANGE]} not included" if counts[_NO_CHANGE] else "",
    )
    return " · ".join(filter(None, parts))


def _format_plan_subtitle(one: PlanSummary) -> str:
    job = one.plan["environment_job"]
    expires = job["approval_expires_at"]
    ends = f"approval expires {expires[:10]}" if one.awaiting_ids and expires else ""
    parts = (one.format_change_count(one.included_flows), f"version {one.plan['version']}", ends)
    return " · ".join(filter(None, parts))


def _build_sort_key(item: Any) -> tuple[bool, int, str]:
    return build_plan_sort_key(
        changed=item["changed_since_approval"], action=item["action"], title=item["display_name"]
    )


def _format_flow_count(flows: Sequence[Any]) -> str:
    return format_number(len(flows), "flow")


def _format_action(item: Any) -> str:
    action = str(item["action"])
    return _SHORT.get(action, ACTION_WORDS.get(action, action)).capitalize()


_COLUMNS = (
    Column("Flow", lambda one: one["display_name"]),
    Column("Action", _format_action, Kind.WORD),
    Column("Callers", lambda one: len(one["callers"]), Kind.NUMBER),
)
_NEEDED_COLUMNS = (
    Column("Flow", lambda one: one["display_name"]),
    Column("Reason", lambda one: one["message"]),
)
