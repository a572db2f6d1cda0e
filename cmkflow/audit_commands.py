"""`cmkflow audit`: show the audit log."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import Shown, api_command
from cmkflow.audit_text import build_audit_table
from cmkflow.listing import After, Listing
from cmkflow.names import ENVIRONMENTS, InEnvironment, InRemediation
from cmkflow.remediation_tables import list_unreadable_rows
from cmkflow.terminal import remove_line_breaks
from cmkflow.timestamps import format_minute
from shared.domain.audit_text import AuditResult, list_operations

app = typer.Typer(no_args_is_help=True, help="Show the audit log.")

#: A day without a time; its time is midnight.
_DAY = "%Y-%m-%d"


@app.callback()
def describe() -> None:
    """Show the audit log."""


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
            autocompletion=lambda: list(list_operations()),
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
    """Show who requested which change, and its result, newest first."""
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
    """Yield which entries the answer lacks."""
    yield from list_unreadable_rows(remove_line_breaks(answer))
    if until := answer["searched_until"]:
        yield (
            f"Only entries since {format_minute(until)} UTC were searched. "
            f"To search further back, add --after {answer['next']}."
        )


def _read_environment_names(api: ApiClient) -> dict[str, str]:
    """Return the names of environments by id; none if they cannot be read."""
    try:
        return {one.id: one.name for one in ENVIRONMENTS.listed(api, {})}
    except ApiError:
        return {}
