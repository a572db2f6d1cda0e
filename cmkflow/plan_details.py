"""Format every planned change of a plan.

Texts are rich `Text` objects, so that names in them are not interpreted as markup.
"""

from collections.abc import Iterator, Sequence, Set
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cmkflow.flow_owners import format_flow_owner
from cmkflow.paragraphs import Paragraph, format_number
from shared.domain.plans.display_text import ACTION_WORDS, CONVERSION_WORDS, URL_SECRET_WORDS
from shared.domain.plans.plan_item import PlannedAction

_STYLES = {"needs_changes": "bold red", "continue_existing_job": "green", "no_change": "dim"}


def format_plan_details(plan: Any, items: Sequence[Any]) -> Iterator[RenderableType]:
    """Yield the planned changes of these items, then the firewalls and hosts of the plan."""
    for item in items:
        yield Text()
        yield from _format_planned_changes(
            item, is_awaiting=item["workflow_id"] in plan["awaiting_flow_ids"]
        )
    flow_ids = {item["workflow_id"] for item in items}
    issues = plan["environment_job"]["firewall_issues"]
    yield from _format_firewall_issues([one for one in issues if _may_block_a_flow(one, flow_ids)])
    for one in plan["trigger_hosts"]:
        doubt = "" if one["is_confirmed"] else " (expected, not yet confirmed by a copy)"
        flows = format_number(len(one["flows"]), "flow")
        yield Paragraph(text=f"Callers of {flows} must reach {one['host']}:443{doubt}", indent=0)
    for one in plan["external_hosts"]:
        flows = "1 flow calls" if one["flow_count"] == 1 else f"{one['flow_count']} flows call"
        text = f"{flows} {one['host']}. Ask its owner to allow these addresses on TCP 443:"
        yield Paragraph(text=text, indent=0)
        yield Paragraph(text=", ".join(one["prefixes"]))


def _format_planned_changes(item: Any, *, is_awaiting: bool) -> Iterator[RenderableType]:
    action = ACTION_WORDS.get(item["action"], item["action"])
    style = _STYLES.get(item["action"], "bold")
    mark = ("  awaits approval", "yellow") if is_awaiting else ""
    yield Text.assemble((item["display_name"], "bold"), "  ", (action, style), mark)
    yield Text(f"  {item['workflow_id']}", style="dim")
    for change in item["changed_since_approval"]:
        yield Paragraph(text=f"Changed since the approval: {change}", style="bold yellow")
    yield Paragraph(text=item["message"])
    if item["fix"]:
        yield Paragraph(label="Fix:", text=item["fix"], style="yellow")
    yield Paragraph(text=f"Owner: {format_flow_owner(item)}")
    for caller in item["callers"]:
        is_manual = caller["manual_reason"] and item["action"] != PlannedAction.ADD_TO_SOLUTION
        manual = f" (manual: {caller['manual_reason']})" if is_manual else ""
        why = caller["by_value_reason"]
        holds = f" (gets the URL itself, not a reference to the secret: {why})" if why else ""
        yield Paragraph(text=f"Caller: {caller['label']}{manual}{holds}")
    if item["url_secret_use"]:
        yield Paragraph(text=f"URL secret: {URL_SECRET_WORDS[item['url_secret_use']][0]}")
    if item["unknown_readers"]:
        yield Paragraph(text=f"App Configuration: {item['unknown_readers']}")
    for number, write in enumerate(item["planned_changes"], start=1):
        yield Paragraph(text=f"{number}. {write}")
    yield from (Paragraph(text=f"Unknown: {what}") for what in item["unknowns"])
    yield from (Paragraph(text=f"Afterwards: {note}") for note in item["notes"])
    if item["conversion_preview"] and item["action"] in CONVERSION_WORDS:
        yield Text(f"  {CONVERSION_WORDS[item['action']]}:")
        yield from (
            Text(f"  | {line}", style="dim") for line in item["conversion_preview"].splitlines()
        )


def _may_block_a_flow(issue: Any, flow_ids: Set[str]) -> bool:
    named = issue["workflow_ids"]
    return not named or issue["flow_count"] > len(named) or not flow_ids.isdisjoint(named)


def _format_firewall_issues(issues: Any) -> Iterator[RenderableType]:
    for issue in issues:
        yield Text()
        count = max(issue["flow_count"], len(issue["workflow_ids"]))
        flows = format_number(count, "flow") if count else "no flow"
        text = f"Firewall {issue['firewall_name']} blocks {flows}: {issue['name']}"
        yield Paragraph(text=text, indent=0, style="yellow")
        if issue["fix_by_app"]:
            yield Paragraph(text=f"The app will {issue['fix_by_app']}.", style="bold")
        else:
            yield Paragraph(label="Fix:", text=issue["fix"])
