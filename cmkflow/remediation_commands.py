"""`cmkflow remediation`: start, list, show, cancel, retry and roll back remediations."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ExitCode
from cmkflow.api_command import Shown, api_command
from cmkflow.flow_owners import OfOwner
from cmkflow.listing import After
from cmkflow.names import (
    ENVIRONMENTS,
    FLOWS_OF_ENVIRONMENTS,
    Flows,
    InEnvironment,
    RemediationId,
    build_name_completion,
)
from cmkflow.remediation_tables import (
    build_remediation_table,
    format_count_sentence,
    format_kill_switch_warning,
    format_unreadable_rows,
)
from cmkflow.remediation_text import format_remediation
from cmkflow.signed_in_name import Name
from cmkflow.terminal import confirm
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.remediation import RemediationMode

app = typer.Typer(no_args_is_help=True, help="Start, show and control remediations.")

Replay = Annotated[
    bool,
    typer.Option(
        "--accept-replay",
        help="Accept that polling flows process the events since the cutover a second time.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def _format_start_result(answer: Any) -> Text:
    identity = answer["id"]
    return Text(
        f"Remediation {identity} started ({answer['mode']}).\nNext: cmkflow watch {identity}"
    )


def _format_rollback_result(answer: Any) -> RenderableType:
    plans = answer["cancelled_plans"]
    lines = [Text(f"The plan for {name} is cancelled: it starts no more flows.") for name in plans]
    if not (answer["flow_count"] or plans or answer["unreadable_rows"]):
        return Text("Nothing was changed: no flow is left to cancel or roll back.")
    if plans and not answer["flow_count"]:
        return Group(*lines, *format_unreadable_rows(answer))
    return Group(*lines, _format_action_result(answer, "cancelled or rolled back"))


def _format_action_result(answer: Any, done: str) -> RenderableType:
    lines = [
        format_count_sentence(answer["flow_count"], "job", done),
        *format_unreadable_rows(answer),
    ]
    if answer["flow_count"] and answer["kill_switch_on"]:
        lines.append(format_kill_switch_warning(answer["flow_names"]))
    lines += [
        Text(
            f"{replay['display_name']} will process the events since {replay['off_since']} a "
            "second time. Its copy has already processed them."
        )
        for replay in answer.get("replays", ())
    ]
    return Group(*lines)


@api_command(app, "start", show=_format_start_result)
def start_remediation(
    api: ApiClient,
    environments: Annotated[
        list[str],
        typer.Argument(
            metavar="ENVIRONMENT…",
            help="Environments, by name or id.",
            autocompletion=build_name_completion(ENVIRONMENTS),
        ),
        ENVIRONMENTS,
    ],
    by: Name,
    mode: Annotated[
        RemediationMode,
        typer.Option(
            help="assess: find flows; dry_run: also show every change; prepare: before a key is "
            "applied, change flows so that they need no copy; apply: copy flows on Microsoft's key."
        ),
    ] = RemediationMode.DRY_RUN,
    flows: Annotated[
        list[str] | None,
        typer.Option(
            "--flow",
            help="Flow, by name or id. Can be repeated. Default: all flows on Microsoft's key.",
        ),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    compare_all_flows: Annotated[
        bool,
        typer.Option(
            "--compare-all-flows",
            help="Compare Dataverse with the flow service's list of all flows.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(help="Idempotency key. Commands with the same name start one remediation."),
    ] = None,
) -> object:
    """Start a remediation. The default mode is a dry run.

    Examples:
        cmkflow remediation start Operations
        cmkflow remediation start Operations --mode apply --name change-4711
    """
    body: dict[str, object] = {"mode": mode, "environment_ids": environments, "started_by": by}
    if flows:
        body["flow_ids"] = flows
    if compare_all_flows:
        body["compare_all_flows"] = True
    headers = {"Idempotency-Key": name} if name else {}
    return api.send(ApiCall(method="POST", path=("remediations",), body=body, headers=headers))


@api_command(app, "list", show=build_remediation_table)
def list_remediations(
    api: ApiClient,
    environment: InEnvironment = None,
    state: Annotated[
        RemediationState | None, typer.Option(help="Only remediations in this state.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of remediations.")] = 50,
    after: After = None,
) -> object:
    """List remediations, newest first.

    Examples:
        cmkflow remediation list --state blocked
        cmkflow remediation list --query "items[0].remediation.id" -o tsv
    """
    query = {"limit": limit, "after": after, "environment": environment, "state": state}
    return api.send(ApiCall(method="GET", path=("remediations",), query=query))


@api_command(app, "show", show=format_remediation)
def show_remediation(
    api: ApiClient,
    remediation: RemediationId,
    full: Annotated[
        bool,
        typer.Option("--full", help="Show every flow, note and step, and shorten no reason."),
    ] = False,
    owner: OfOwner = None,
) -> object:
    """Show the progress of a remediation, and the actions that it requires.

    Examples:
        cmkflow remediation show 2dad424e
        cmkflow remediation show 2dad424e --full
    """
    query = {"include_history": "true" if full else None, "owner": owner}
    answer = api.send(ApiCall(method="GET", path=("remediations", remediation), query=query))
    return Shown(
        answer=answer,
        show=lambda found: format_remediation(found, is_full=full),
        next_commands=[] if full else [f"cmkflow remediation show {remediation} --full"],
    )


@api_command(app, "cancel", show=_format_rollback_result)
def cancel_remediation(
    api: ApiClient, remediation: RemediationId, replay: Replay = False, yes: Yes = False
) -> object:
    """Cancel a remediation. Flows that have started are rolled back.

    Examples:
        cmkflow remediation cancel 2dad424e
    """
    if not yes:
        confirm("Cancel this remediation and roll back the flows that have started?")
    return _send_action(api, remediation, "cancel", {"accept_replay": True} if replay else None)


def _format_retry_result(answer: Any) -> RenderableType:
    if answer["flow_count"]:
        return _format_action_result(answer, "retried")
    lines = [Text(f"Nothing was retried. {answer['message']}", style="bold yellow")]
    if answer["fix"]:
        lines.append(Text(f"Fix: {answer['fix']}"))
    return Group(*lines, *format_unreadable_rows(answer))


def retry_remediation(
    api: ApiClient,
    remediation: RemediationId,
    flows: Flows = None,
    code: Annotated[
        str | None, typer.Option(help="Only jobs with this reason code, such as firewall_denies.")
    ] = None,
    environment: InEnvironment = None,
) -> object:
    """Retry blocked and failed jobs after the reason is fixed.

    Exits with 4 if nothing could be retried; the answer says why.

    Examples:
        cmkflow retry 2dad424e
        cmkflow retry 2dad424e --flow "Print labels"
    """
    chosen = {"flow_ids": flows or None, "reason_code": code, "environment": environment}
    body: dict[str, object] = {name: value for name, value in chosen.items() if value is not None}
    return _send_action(api, remediation, "retry", body or None)


def roll_back_remediation(
    api: ApiClient,
    remediation: RemediationId,
    flows: Flows = None,
    replay: Replay = False,
    yes: Yes = False,
) -> object:
    """Roll back flows: turn originals on, revert their callers, turn copies off.

    Examples:
        cmkflow rollback 2dad424e --flow "Print labels"
        cmkflow rollback 2dad424e
    """
    if not (yes or flows):
        confirm("Roll back all flows of this remediation?")
    body: dict[str, object] = {"flow_ids": flows} if flows else {}
    if replay:
        body["accept_replay"] = True
    return _send_action(api, remediation, "rollback", body or None)


def add_retry_and_rollback_commands(group: typer.Typer) -> None:
    api_command(
        group,
        "retry",
        show=_format_retry_result,
        ends=lambda answer: 0 if answer["flow_count"] else ExitCode.ACTION_REQUIRED,
    )(retry_remediation)
    api_command(group, "rollback", show=_format_rollback_result)(roll_back_remediation)


def _send_action(
    api: ApiClient, remediation: str, action: str, body: dict[str, object] | None
) -> object:
    return api.send(ApiCall(method="POST", path=("remediations", remediation, action), body=body))
