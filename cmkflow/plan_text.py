"""Format plans for the terminal. `Text` prevents markup in names from being interpreted."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import facts
from cmkflow.timestamps import minute
from shared.domain.plans.display_text import ACTION_WORDS, CONVERSION_WORDS, plan_sort_key

#: An action without a copy, so that callers need no change.
_KEEPS_CALLERS = "add_to_solution"
_STYLES = {"needs_changes": "bold red", "continue_existing_job": "green", "no_change": "dim"}


def plan_blocks(answer: Any) -> RenderableType:
    """Return each plan: version, totals, and every flow."""
    parts = [part for plan in answer["items"] for part in (*_plan(plan), Text())]
    return Group(*parts[:-1]) if parts else Text("The plan is not ready yet.")


def summary(plan: Any) -> str:
    """Return the number of flows for each action."""
    counts = Counter(item["action"] for item in plan["items"])
    ranked = [*ACTION_WORDS, *(action for action in counts if action not in ACTION_WORDS)]
    words = [
        f"{counts[action]} {ACTION_WORDS.get(action, action)}"
        for action in ranked
        if counts[action]
    ]
    return ", ".join(words) or "no flow is on Microsoft's key"


def _sort_key(item: Any) -> tuple[bool, int, str]:
    return plan_sort_key(
        changed=item["changed_since_approval"], action=item["action"], title=item["display_name"]
    )


def _plan(plan: Any) -> Iterator[RenderableType]:
    job = plan["environment_job"]
    yield Text(job["environment_name"] or job["environment_id"], style="bold underline")
    approved = ""
    if job["approved_by"]:
        version = f", version {job['approved_version']}" if job["approved_version"] else ""
        approved = f"by {job['approved_by']}{version}"
    yield facts(
        {
            "Version": plan["version"],
            "State": job["state"],
            "Flows": summary(plan),
            "Awaiting approval": str(len(plan["awaiting_flow_ids"]) or ""),
            "Until": f"{minute(job['approval_expires_at'])} UTC"
            if plan["awaiting_flow_ids"]
            else "",
            "Approved": approved,
        }
    )
    for item in sorted(plan["items"], key=_sort_key):
        yield Text()
        yield from _item(item, is_awaiting=item["workflow_id"] in plan["awaiting_flow_ids"])
    yield from _network(job["firewall_issues"])
    for one in plan["trigger_hosts"]:
        flows = "1 flow" if len(one["flows"]) == 1 else f"{len(one['flows'])} flows"
        doubt = "" if one["is_confirmed"] else " (expected, not yet confirmed by a copy)"
        yield Text(f"Callers of {flows} must reach {one['host']}:443{doubt}")
    for one in plan["external_hosts"]:
        flows = "1 flow calls" if one["flow_count"] == 1 else f"{one['flow_count']} flows call"
        yield Text(f"{flows} {one['host']}. Ask its owner to allow these addresses on TCP 443:")
        yield Text(f"  {', '.join(one['prefixes'])}")
    yield from (Text(f"! {finding}", style="yellow") for finding in job["findings"])


def _item(item: Any, *, is_awaiting: bool) -> Iterator[Text]:
    action = ACTION_WORDS.get(item["action"], item["action"])
    style = _STYLES.get(item["action"], "bold")
    mark = ("  awaits approval", "yellow") if is_awaiting else ""
    yield Text.assemble((item["display_name"], "bold"), "  ", (action, style), mark)
    yield Text(f"  {item['workflow_id']}", style="dim")
    for change in item["changed_since_approval"]:
        yield Text(f"  Changed since the approval: {change}", style="bold yellow")
    yield Text(f"  {item['message']}")
    if item["fix"]:
        yield Text(f"  Fix: {item['fix']}", style="yellow")
    for caller in item["callers"]:
        needs_person = caller["manual_reason"] and item["action"] != _KEEPS_CALLERS
        manual = f" (manual: {caller['manual_reason']})" if needs_person else ""
        yield Text(f"  Caller: {caller['label']}{manual}")
    for number, write in enumerate(item["planned_changes"], start=1):
        yield Text(f"  {number}. {write}")
    yield from (Text(f"  Unknown: {what}") for what in item["unknowns"])
    yield from (Text(f"  Afterwards: {note}") for note in item["notes"])
    if item["conversion_preview"] and item["action"] in CONVERSION_WORDS:
        yield Text(f"  {CONVERSION_WORDS[item['action']]}:")
        yield from (
            Text(f"  | {line}", style="dim") for line in item["conversion_preview"].splitlines()
        )


def _network(issues: Any) -> Iterator[Text]:
    for issue in issues:
        yield Text()
        count = max(issue["flow_count"], len(issue["workflow_ids"]))
        flows = f"{count} flows" if count else "no flow"
        yield Text(
            f"! Firewall {issue['firewall_name']} blocks {flows}: {issue['name']}", style="yellow"
        )
        if issue["fix_by_app"]:
            yield Text(f"  The app will {issue['fix_by_app']}.", style="bold")
        else:
            yield Text(f"  Fix: {issue['fix']}")
