"""`cmkflow audit`: show the audit log."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import Shown, api_command
from cmkflow.listing import After, Column, Kind, Listing
from cmkflow.names import ENVIRONMENTS, InEnvironment, InRemediation
from cmkflow.paragraphs import shorten_ids_in_command, shorten_resource_ids
from cmkflow.remediation_tables import list_unreadable_rows
from cmkflow.terminal import remove_line_breaks
from cmkflow.timestamps import format_minute
from shared.domain.audit_text import (
    AuditResult,
    TargetKind,
    describe_operation,
    describe_principal,
    find_audit_result,
    find_audit_target,
    format_changes,
    map_operations_to_phrases,
    replace_known_ids,
)

_STYLES = {
    AuditResult.REJECTED: "red",
    AuditResult.FAILED: "bold red",
    AuditResult.UNKNOWN: "yellow",
}


def build_audit_table(answer: Any, names: Mapping[str, str]) -> Listing:
    """Return the audit log as a table. `names` contains names by the ids that they replace."""

    def replace_ids_with_names(text: str) -> str:
        return shorten_ids_in_command(shorten_resource_ids(replace_known_ids(text, names)))

    columns = (
        Column("Time (UTC)", lambda one: format_minute(one["recorded_at"]), Kind.WORD),
        Column("Who", lambda one: describe_principal(one["kind"], one["who"])),
        Column("Action", lambda one: describe_operation(one["operation"], one["status"])),
        Column("About", lambda one: replace_ids_with_names(_format_target(one))),
        Column("Result", _format_result, Kind.WORD),
    )
    return Listing(
        columns=columns,
        items=answer["items"],
        note=lambda one: replace_ids_with_names(
            one["message"] or format_changes(one["state_before"], one["state_after"])
        ),
        # A warning has the next page if the search ended early.
        next="" if answer["searched_until"] else answer["next"],
    )


def _format_target(entry: Any) -> str:
    target = find_audit_target(entry["target"], entry["state_after"])
    return f"#{target.id}" if target.kind is TargetKind.REMEDIATION else target.id


def _format_result(entry: Any) -> Text:
    result = find_audit_result(entry["status"])
    return Text(result, style=_STYLES.get(result, ""))


app = typer.Typer(no_args_is_help=True, help="Show the audit log.")

#: A day without a time; its time is midnight.
_DAY = "%Y-%m-%d"


@api_command(app, "list", show=lambda answer: build_audit_table(answer, {}))
def list_audit(
    api: ApiClient,
    who: Annotated[
        str | None, typer.Option(help="Only this person or app: a part of the name, or an id.")
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            help="Only this operation, such as approve_remediation.",
            autocompletion=lambda: list(map_operations_to_phrases()),
        ),
    ] = None,
    result: Annotated[AuditResult | None, typer.Option(help="Only this result.")] = None,
    environment: InEnvironment = None,
    remediation: InRemediation = None,
    since: Annotated[
        datetime | None, typer.Option(formats=[_DAY], help="First day, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=[_DAY], help="Last day, in UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of entries.")] = 50,
    after: After = None,
) -> object:
    """Show who requested which change, and its result, newest first.

    Examples:
        cmkflow audit list
        cmkflow audit list --result rejected --since 2026-11-01
        cmkflow audit list --limit 500 -o csv
    """
    query = {
        "limit": limit,
        "after": after,
        "who": who,
        "operation": operation,
        "result": result,
        "environment": environment,
        "remediation": remediation,
        "since": f"{since:{_DAY}}" if since else None,
        "until": f"{until:{_DAY}}" if until else None,
    }
    answer = api.send(ApiCall(method="GET", path=("audit",), query=query))

    def format_audit_log(found: Any) -> Listing:
        return build_audit_table(found, _read_environment_names(api))

    return Shown(answer=answer, show=format_audit_log, warnings=list(_list_warnings(answer)))


def _list_warnings(answer: Any) -> Iterator[str]:
    yield from list_unreadable_rows(remove_line_breaks(answer))
    if until := answer["searched_until"]:
        yield (
            f"Only entries since {format_minute(until)} UTC were searched. "
            f"To search further back, add --after {answer['next']}."
        )


def _read_environment_names(api: ApiClient) -> dict[str, str]:
    try:
        return {one.id: one.name for one in ENVIRONMENTS.listed(api, {})}
    except ApiError:
        return {}
