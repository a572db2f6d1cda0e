"""`cmkflow plan` and `cmkflow approve`: show and approve plans."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import Shown, api_command
from cmkflow.flow_owners import OfOwner
from cmkflow.named_files import parse_file_name, write_file
from cmkflow.names import FLOWS_OF_PLANS, InEnvironment, RemediationId
from cmkflow.paragraphs import format_number
from cmkflow.plan_text import format_approval, format_plan
from cmkflow.remediation_commands import Yes
from cmkflow.remediation_tables import format_count_sentence, format_kill_switch_warning
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm, echo, remove_line_breaks
from shared.domain.environment import UrlSecretUse
from shared.domain.plans.plan_approval import add_parent_flows
from shared.domain.plans.plan_item import PlannedAction

app = typer.Typer(no_args_is_help=True, help="Show plans.")


@api_command(app, "show", show=lambda answer: format_plan(answer, ""))
def show_plan(
    api: ApiClient,
    remediation: RemediationId,
    environment: InEnvironment = None,
    flows: Annotated[
        list[str] | None,
        typer.Option(
            "--flow", help="Flow to show with every change. Can be repeated. Default: all."
        ),
        FLOWS_OF_PLANS,
    ] = None,
    needs_changes: Annotated[
        bool, typer.Option("--needs-changes", help="Show only flows that need changes first.")
    ] = False,
    owner: OfOwner = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show every planned change of every flow, in order.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            parser=parse_file_name,
            help="Write an HTML page to FILE instead of printing.",
        ),
    ] = None,
) -> object:
    """Show the plan: problems first, and one line for each flow.

    Examples:
        cmkflow plan show 2dad424e
        cmkflow plan show 2dad424e --flow "Post to ERP"
        cmkflow plan show 2dad424e --html plan.html
    """
    only = str(PlannedAction.NEEDS_CHANGES) if needs_changes else None
    if html is not None:
        query = {
            "environment": environment,
            "filter": only,
            "owner": owner,
            "export": "true",
        }
        path = ("dashboard", "remediations", remediation, "plan")
        page = api.download_page(ApiCall(method="GET", path=path, query=query))
        write_file(html, page.encode())
        echo(f"Wrote {html}.", err=True)
        raise typer.Exit
    answer = api.send(_build_plan_call(remediation, environment, owner))
    if only or flows or owner:
        answer = _select_plan_items(remove_line_breaks(answer), only, flows)
    is_full = full or needs_changes or bool(flows)
    return Shown(
        answer=answer,
        show=lambda found: format_plan(found, remediation, is_full=is_full),
        next_commands=[] if is_full else _format_next_commands(answer, remediation),
    )


def _format_url_secret_choice(answer: Any) -> Text:
    changed = format_count_sentence(answer["flow_count"], "flow", "changed")
    return Text("\n").join([changed, Text(f"Plan version: {', '.join(answer['versions'])}")])


@api_command(app, "url-secrets", show=_format_url_secret_choice)
def choose_url_secrets(
    api: ApiClient,
    remediation: RemediationId,
    use: Annotated[
        UrlSecretUse,
        typer.Argument(
            help=(
                "none: callers hold the URL; verified_callers: those that can read the flow's "
                "secret refer to it; with_app_configuration: so do keys of App Configuration, "
                "whose readers must resolve Key Vault references, which the app cannot check."
            ),
            metavar="USE",
        ),
    ],
    flows: Annotated[
        list[str],
        typer.Option("--flow", help="Flow for which to choose. Can be repeated."),
        FLOWS_OF_PLANS,
    ],
) -> object:
    """Choose, before the approval, which callers of a flow refer to its URL secret.

    The plan gets another version. For flows without a choice, the setting of their environment
    applies.

    Examples:
        cmkflow plan url-secrets 2dad424e none --flow Orders
    """
    path = ("remediations", remediation, "url-secrets")
    body: dict[str, object] = {"flow_ids": flows, "use": str(use)}
    return Shown(
        answer=api.send(ApiCall(method="POST", path=path, body=body)),
        next_commands=[f"cmkflow approve {remediation}"],
    )


def _format_next_commands(answer: Any, remediation: str) -> list[str]:
    waits = any(plan["awaiting_flow_ids"] for plan in answer["items"])
    shows = [f"cmkflow plan show {remediation} --full"] if answer["items"] else []
    return [*([f"cmkflow approve {remediation}"] if waits else []), *shows]


def _format_approval_result(answer: Any) -> Text:
    lines = [format_count_sentence(answer["flow_count"], "plan", "approved")]
    if answer["kill_switch_on"]:
        lines.append(format_kill_switch_warning(answer["flow_names"]))
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
    """Approve plans: the given versions, or the plans that the command shows before it asks.

    `--yes` approves the current versions without a question, and prints them.

    Examples:
        cmkflow approve 2dad424e
        cmkflow approve 2dad424e --except "Answer the old app"
        cmkflow approve 2dad424e --version 3f9c1b2a7d604e51
    """
    if not versions:
        plans = remove_line_breaks(api.send(_build_plan_call(remediation, environment)))
        versions = _confirm_and_return_versions(plans, remediation, except_flows or [], yes=yes)
    body: dict[str, object] = {"versions": versions, "approved_by": by}
    if except_flows:
        body["excluded_flow_ids"] = except_flows
    path = ("remediations", remediation, "approve")
    return Shown(
        answer=api.send(ApiCall(method="POST", path=path, body=body)),
        next_commands=[f"cmkflow watch {remediation}"],
    )


def add_approve_command(group: typer.Typer) -> None:
    api_command(group, "approve", show=_format_approval_result)(approve_plan)


def _build_plan_call(
    remediation: str, environment: str | None, owner: str | None = None
) -> ApiCall:
    path = ("remediations", remediation, "plan")
    return ApiCall(method="GET", path=path, query={"environment": environment, "owner": owner})


def _select_plan_items(answer: Any, action: str | None, flows: Sequence[str] | None) -> object:
    named = {one.lower() for one in flows or ()}

    def is_selected(item: Any) -> bool:
        is_named = named & {item["workflow_id"], item["flow_name"].lower()}
        return action in (None, item["action"]) and bool(is_named or not named)

    plans = [
        {**plan, "items": list(filter(is_selected, plan["items"]))} for plan in answer["items"]
    ]
    found = [plan for plan in plans if plan["items"]]
    if not found and (named or action is None):
        raise ApiError("The plan has no such flow.", ExitCode.NOT_FOUND)
    return {**answer, "items": found}


def _confirm_and_return_versions(
    plans: Any, remediation: str, except_flows: Sequence[str], *, yes: bool
) -> list[str]:
    waiting = [plan for plan in plans["items"] if plan["awaiting_flow_ids"]]
    if not waiting:
        raise ApiError(f"No plan awaits approval. See: cmkflow remediation show {remediation}")
    console = Terminal(stderr=True)
    if not yes:
        console.print(format_plan({"items": waiting}, remediation), Text(), crop=False)
    number = 0
    for plan in waiting:
        excluded = _list_excluded_flow_ids(plan, except_flows)
        number += len(plan["awaiting_flow_ids"]) - len(excluded)
        console.print(format_approval(plan, remediation, excluded), crop=False)
    if not yes:
        confirm(f"Approve {format_number(number, 'flow')}?")
    return [plan["version"] for plan in waiting]


def _list_excluded_flow_ids(plan: Any, except_flows: Sequence[str]) -> frozenset[str]:
    named = {one.lower() for one in except_flows}
    waiting = [one for one in plan["items"] if one["workflow_id"] in plan["awaiting_flow_ids"]]
    flows = [
        one["workflow_id"]
        for one in waiting
        if named & {one["workflow_id"], one["flow_name"].lower()}
    ]
    return frozenset(
        add_parent_flows(flows, {one["workflow_id"]: one["children"] for one in waiting})
    )
