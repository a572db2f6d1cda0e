"""`cmkflow plan`: show and approve plans."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.named_files import named_file, write_page
from cmkflow.names import FLOWS_OF_PLANS, InEnvironment, RemediationId
from cmkflow.plan_text import plan_blocks, summary
from cmkflow.remediation_commands import Yes
from cmkflow.remediation_tables import counted, first_names
from cmkflow.run_archive_tables import number_of
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm, echo, one_line
from shared.domain.plans.plan_approval import add_parents
from shared.domain.plans.plan_item import PlannedAction

app = typer.Typer(no_args_is_help=True, help="Show plans.")


@app.callback()
def describe() -> None:
    """Show plans."""


@api_command(app, "show", show=plan_blocks)
def show_plan(
    api: ApiClient,
    remediation: RemediationId,
    environment: InEnvironment = None,
    needs_changes: Annotated[
        bool, typer.Option("--needs-changes", help="Show only flows that need changes first.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            parser=named_file,
            help="Write an HTML page to FILE instead of printing.",
        ),
    ] = None,
) -> object:
    """Show the plan: each flow with its reason, callers and planned changes in order."""
    only = str(PlannedAction.NEEDS_CHANGES) if needs_changes else None
    if html is None:
        answer = api.send(_call(remediation, environment))
        return _only(one_line(answer), only) if only else answer
    query = {"environment": environment, "filter": only, "export": "true"}
    path = ("dashboard", "remediations", remediation, "plan")
    write_page(html, api.page(ApiCall(method="GET", path=path, query=query)))
    echo(f"Wrote {html}.", err=True)
    raise typer.Exit


def _format_approval(answer: Any) -> Text:
    lines = [counted(answer["flow_count"], "plan", "approved")]
    if answer["kill_switch_on"]:
        flow_names = first_names(answer["flow_names"])
        text = f"The kill switch is on. The app writes nothing in {flow_names} until it is off."
        lines.append(Text(text, style="bold red"))
    return Text("\n").join(lines)


def approve_plan(
    api: ApiClient,
    remediation: RemediationId,
    by: Name,
    versions: Annotated[
        list[str] | None,
        typer.Option(
            "--version", help="Plan version to approve without a question. Can be repeated."
        ),
    ] = None,
    environment: InEnvironment = None,
    except_flows: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            help="Flow to exclude from the approval, with all flows that run it. Can be repeated.",
        ),
        FLOWS_OF_PLANS,
    ] = None,
    yes: Yes = False,
) -> object:
    """Approve plans: the given versions, or the plans that the command shows and asks about.

    `--yes` approves the current versions and prints them.
    """
    if not versions:
        plans = one_line(api.send(_call(remediation, environment)))
        versions = _confirm_versions(plans, except_flows or [], yes=yes)
    body: dict[str, object] = {"versions": versions, "approved_by": by}
    if except_flows:
        body["excluded_flow_ids"] = except_flows
    return api.send(
        ApiCall(method="POST", path=("remediations", remediation, "approve"), body=body)
    )


def register_approve(group: typer.Typer) -> None:
    """Add `approve` to the top of the command line."""
    api_command(group, "approve", show=_format_approval)(approve_plan)


def _call(remediation: str, environment: str | None) -> ApiCall:
    path = ("remediations", remediation, "plan")
    return ApiCall(method="GET", path=path, query={"environment": environment})


def _only(answer: Any, action: str) -> object:
    """Return only the items with this action; plans without such items are omitted."""
    plans = [
        {**plan, "items": [item for item in plan["items"] if item["action"] == action]}
        for plan in answer["items"]
    ]
    return {**answer, "items": [plan for plan in plans if plan["items"]]}


def _confirm_versions(plans: Any, except_flows: Sequence[str], *, yes: bool) -> list[str]:
    """Show the plans that await approval on stderr, ask, and return their versions.

    The question counts only the flows that this approval includes.
    """
    waiting = [plan for plan in plans["items"] if plan["awaiting_flow_ids"]]
    if not waiting:
        raise ApiError("No plan awaits approval. Check cmkflow remediation show.")
    console = Terminal(stderr=True)
    if not yes:
        console.print(plan_blocks({"items": waiting}), Text())
    for plan in waiting:
        job = plan["environment_job"]
        name = job["environment_name"] or job["environment_id"]
        console.print(Text(f"{name}: version {plan['version']}, {summary(plan)}."))
    excluded = [title for plan in waiting for title in _excluded_names(plan, except_flows)]
    if excluded:
        console.print(Text(f"Excluded from the approval: {', '.join(excluded)}."))
    if not yes:
        number = sum(len(plan["awaiting_flow_ids"]) for plan in waiting) - len(excluded)
        confirm(f"Approve {number_of(number, 'flow')}?")
    return [plan["version"] for plan in waiting]


def _excluded_names(plan: Any, except_flows: Sequence[str]) -> list[str]:
    """Return the names of the flows that this approval excludes."""
    named = {one.lower() for one in except_flows}
    waiting = [one for one in plan["items"] if one["workflow_id"] in plan["awaiting_flow_ids"]]
    flows = [
        one["workflow_id"]
        for one in waiting
        if named & {one["workflow_id"], one["flow_name"].lower()}
    ]
    excluded = add_parents(flows, {one["workflow_id"]: one["children"] for one in waiting})
    return [one["display_name"] for one in waiting if one["workflow_id"] in excluded]
