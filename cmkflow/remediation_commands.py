"""`cmkflow remediation`, `cmkflow retry` and `cmkflow rollback`: start and change remediations."""

from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ExitCode
from cmkflow.api_command import api_command
from cmkflow.listing import After
from cmkflow.names import (
    ENVIRONMENTS,
    FLOWS_OF_ENVIRONMENTS,
    Flows,
    InEnvironment,
    RemediationId,
)
from cmkflow.remediation_tables import (
    counted,
    first_names,
    remediation_detail,
    remediation_table,
    unreadable,
)
from cmkflow.signed_in_name import Name
from cmkflow.terminal import confirm

app = typer.Typer(no_args_is_help=True, help="Start remediations, follow and decide them.")

Replay = Annotated[
    bool,
    typer.Option(
        "--accept-replay",
        help="Accept that polling flows process again what came since they were swapped.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]


def _started(answer: Any) -> Text:
    identity = answer["id"]
    return Text(
        f"Remediation {identity} has started ({answer['mode']}).\nNext: cmkflow watch {identity}"
    )


def _steered(answer: Any) -> Text:
    lines = [counted(answer["jobs"], "job", "is on its way"), *unreadable(answer)]
    if answer["jobs"] and answer["kill_switch_on"]:
        titles = first_names(answer["flow_names"])
        text = f"The kill switch is on: nothing moves of {titles} until it is off"
        lines.append(Text(f"{text} (cmkflow kill-switch off).", style="bold red"))
    for replay in answer.get("replays", ()):
        text = f"{replay['display_name']} replays what came since {replay['since']}."
        lines.append(Text(text))
    return Text("\n").join(lines)


@api_command(app, "start", show=_started)
def start_remediation(
    api: ApiClient,
    environments: Annotated[
        list[str], typer.Argument(metavar="ENVIRONMENT…", help="Names or ids."), ENVIRONMENTS
    ],
    by: Name,
    mode: Annotated[
        str,
        typer.Option(
            help="assess: find and report; dry_run: show every write; prepare: before a key is "
            "applied, do what spares copies; apply: copy what stays."
        ),
    ] = "dry_run",
    flows: Annotated[
        list[str] | None,
        typer.Option("--flow", help="Flow, by name or id; repeat it. Left out: all that stay."),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    compare_all_flows: Annotated[
        bool,
        typer.Option(
            "--compare-all-flows", help="Compare with the flow service's list of all flows."
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(help="Your name for it (Idempotency-Key). A name never starts two."),
    ] = None,
) -> object:
    """Start a remediation; a dry run unless --mode says otherwise."""
    body: dict[str, object] = {"mode": mode, "environments": environments, "by": by}
    if flows:
        body["flows"] = flows
    if compare_all_flows:
        body["reconcile"] = True
    headers = {"Idempotency-Key": name} if name else {}
    return api.send(ApiCall(method="POST", path=("remediations",), body=body, headers=headers))


@api_command(app, "list", show=remediation_table)
def list_remediations(
    api: ApiClient,
    environment: InEnvironment = None,
    state: Annotated[str | None, typer.Option(help="In this state only, such as stuck.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    after: After = None,
) -> object:
    """Show remediations, the newest first."""
    query = {"limit": limit, "after": after, "environment": environment, "state": state}
    return api.send(ApiCall(method="GET", path=("remediations",), query=query))


@api_command(app, "show", show=remediation_detail)
def show_remediation(
    api: ApiClient,
    remediation: RemediationId,
    full: Annotated[
        bool, typer.Option("--full", help="Add every step with its time and its calls.")
    ] = False,
) -> object:
    """Show how far a remediation is, and what each flow of it waits for."""
    query = {"history": "true" if full else None}
    return api.send(ApiCall(method="GET", path=("remediations", remediation), query=query))


@api_command(app, "cancel", show=_steered)
def cancel_remediation(
    api: ApiClient, remediation: RemediationId, replay: Replay = False, yes: Yes = False
) -> object:
    """Cancel what has not begun; what has begun is rolled back."""
    _ask(yes, "Cancel what has not begun and roll back what has?")
    return _decide(api, remediation, "cancel", {"replay": True} if replay else None)


def _retried(answer: Any) -> Text:
    if answer["jobs"]:
        return _steered(answer)
    lines = [Text(f"Nothing was retried. {answer['reason']}", style="bold yellow")]
    if answer["instruction"]:
        lines.append(Text(f"To do: {answer['instruction']}"))
    return Text("\n").join([*lines, *unreadable(answer)])


def retry_remediation(
    api: ApiClient,
    remediation: RemediationId,
    flows: Flows = None,
    code: Annotated[
        str | None, typer.Option(help="Only what has this code, such as network_gap.")
    ] = None,
    environment: InEnvironment = None,
) -> object:
    """Continue what is blocked or failed, after the cause is fixed.

    The exit code is 4 where there was nothing to retry: the answer says why.
    """
    chosen = {"flows": flows or None, "code": code, "environment": environment}
    body: dict[str, object] = {name: value for name, value in chosen.items() if value is not None}
    return _decide(api, remediation, "retry", body or None)


def roll_back_remediation(
    api: ApiClient,
    remediation: RemediationId,
    flows: Flows = None,
    replay: Replay = False,
    yes: Yes = False,
) -> object:
    """Undo the work on some flows, or on all: originals on, callers back, copies off."""
    _ask(yes or bool(flows), "Roll every flow of this remediation back?")
    body: dict[str, object] = {"flows": flows} if flows else {}
    if replay:
        body["replay"] = True
    return _decide(api, remediation, "rollback", body or None)


def register_actions(group: typer.Typer) -> None:
    """Add `retry` and `rollback` to the top of the command line."""
    api_command(
        group,
        "retry",
        show=_retried,
        ends=lambda answer: 0 if answer["jobs"] else ExitCode.ACTION_REQUIRED,
    )(retry_remediation)
    api_command(group, "rollback", show=_steered)(roll_back_remediation)


def _ask(is_sure: bool, question: str) -> None:
    if not is_sure:
        confirm(question)


def _decide(api: ApiClient, remediation: str, order: str, body: dict[str, object] | None) -> object:
    return api.send(ApiCall(method="POST", path=("remediations", remediation, order), body=body))
