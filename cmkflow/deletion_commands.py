"""`cmkflow deletion`: schedule, cancel and list deletions of retired originals."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

import typer
from rich.console import Group

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import Shown, api_command
from cmkflow.deletion_tables import (
    build_deletion_table,
    build_tenant_deletion_table,
    describe_originals_to_delete,
    format_deletions_of_remediation,
)
from cmkflow.listing import After
from cmkflow.names import (
    REMEDIATIONS,
    Flows,
    InEnvironment,
    RemediationId,
    build_name_completion,
)
from cmkflow.remediation_commands import Yes
from cmkflow.remediation_tables import format_count_sentence, list_unreadable_rows
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm, remove_line_breaks
from cmkflow.timestamps import format_minute
from shared.domain.jobs.deletion_states import DELETION_STATES, DeletionState

app = typer.Typer(
    no_args_is_help=True, help="Schedule the deletion of retired originals, or keep them."
)


def _is_scheduled(deletion: Any) -> bool:
    facts = DELETION_STATES[deletion["state"]]
    return facts.can_be_cancelled and not facts.needs_action


@api_command(app, "list", show=format_deletions_of_remediation)
def list_deletions(
    api: ApiClient,
    remediation: Annotated[
        str | None,
        typer.Argument(
            metavar="REMEDIATION",
            help="Name, id, or the beginning of an id. Default: the deletions of all remediations.",
            autocompletion=build_name_completion(REMEDIATIONS),
        ),
        REMEDIATIONS,
    ] = None,
    state: Annotated[
        DeletionState | None, typer.Option(help="Only deletions in this state.")
    ] = None,
    environment: InEnvironment = None,
    search: Annotated[
        str | None, typer.Option(help="Only originals with this text in their name or id.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=500, help="Maximum number of deletions. Default: 50.")
    ] = None,
    after: After = None,
) -> object:
    """Show the deletions of all remediations, or those of one remediation.

    For one remediation, also shows the originals that can be deleted, the run archives and the
    support windows. The options --state, --environment, --search, --limit and --after select from
    the deletions of all remediations.

    Examples:
        cmkflow deletion list --state scheduled
        cmkflow deletion list 2dad424e
    """
    query = {
        "state": state,
        "environment": environment,
        "search": search,
        "limit": limit,
        "after": after,
    }
    if remediation is None:
        answer = api.send(ApiCall(method="GET", path=("deletions",), query=query))
        warnings = list_unreadable_rows(remove_line_breaks(answer))
        return Shown(answer=answer, show=build_tenant_deletion_table, warnings=warnings)
    if given := [f"--{name}" for name, value in query.items() if value is not None]:
        raise typer.BadParameter(f"Use {', '.join(given)} without a remediation.")
    return api.send(ApiCall(method="GET", path=("remediations", remediation, "deletions")))


@api_command(app, "schedule", show=lambda answer: build_deletion_table(answer["items"]))
def schedule_deletions(
    api: ApiClient,
    remediation: RemediationId,
    day: Annotated[
        str,
        typer.Option("--date", help="Date (00:00 UTC) or time with time zone."),
    ],
    by: Name,
    flows: Flows = None,
    yes: Yes = False,
) -> object:
    """Schedule the deletion of retired originals, after listing them and asking for confirmation.

    If a deletion of an original is scheduled already, the new date replaces its date.

    Examples:
        cmkflow deletion schedule 2dad424e --date 2030-01-31
    """
    moment = _parse_date(day)
    call = ApiCall(method="GET", path=("remediations", remediation, "deletions"))
    shown = remove_line_breaks(api.send(call))
    chosen = _select_originals(shown, flows, remediation)
    _require_allowed_date(chosen, moment)
    if not yes:
        replaced = [one for one in shown["items"] if _is_scheduled(one)]
        Terminal(stderr=True).print(Group(*describe_originals_to_delete(chosen, replaced)))
        names = ", ".join(one["display_name"] for one in chosen)
        confirm(f"Delete {names} on {day}?")
    body = {
        "delete_at": day,
        "approved_by": by,
        "flow_ids": [one["original_id"] for one in chosen],
    }
    return api.send(
        ApiCall(method="POST", path=("remediations", remediation, "deletions"), body=body)
    )


@api_command(
    app,
    "cancel",
    show=lambda answer: format_count_sentence(
        answer["cancelled_count"], "deletion", "is cancelled"
    ),
)
def cancel_deletions(
    api: ApiClient, remediation: RemediationId, by: Name, flows: Flows = None
) -> object:
    """Cancel scheduled deletions, so that the originals are kept.

    Examples:
        cmkflow deletion cancel 2dad424e --flow "Print labels"
    """
    body: dict[str, object] = {"cancelled_by": by}
    if flows:
        body["flow_ids"] = flows
    path = ("remediations", remediation, "deletions", "cancel")
    return api.send(ApiCall(method="POST", path=path, body=body))


def _parse_date(text: str) -> datetime:
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    moment = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is neither a date such as 2030-01-31 nor a time with a time zone.",
            param_hint="--date",
        )
    return moment


def _require_allowed_date(originals: Sequence[Any], moment: datetime) -> None:
    early = [one for one in originals if moment < datetime.fromisoformat(one["earliest_delete_at"])]
    if early:
        lines = [
            f"  {one['display_name']}: not before {format_minute(one['earliest_delete_at'])} UTC"
            for one in early
        ]
        text = "Nothing was scheduled: the date is too early."
        raise ApiError("\n".join([text, *lines]), ExitCode.USAGE_ERROR)


def _select_originals(shown: Any, flows: list[str] | None, remediation: str) -> list[Any]:
    deletable = shown["deletable_originals"]
    if not flows:
        if not deletable:
            raise ApiError("This remediation has no retired original that can be deleted.")
        return list(deletable)
    wanted = {flow.lower() for flow in flows}
    chosen = [one for one in deletable if wanted & {one["original_id"], one["flow_name"].lower()}]
    named = {name for one in chosen for name in (one["original_id"], one["flow_name"].lower())}
    if missing := sorted(wanted - named):
        raise ApiError(
            f"Not retired, or deleted already: {', '.join(missing)}. List the originals that can "
            f"be deleted: cmkflow deletion list {remediation}."
        )
    return chosen
