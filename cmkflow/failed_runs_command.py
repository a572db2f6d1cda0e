"""`cmkflow environment failed-runs`: show the last report of an environment's failed runs."""

from operator import itemgetter
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import EnvironmentId
from cmkflow.timestamps import format_minute


def add_failed_runs_command(app: typer.Typer) -> None:
    api_command(app, "failed-runs", show=_format_report)(show_failed_runs)


def show_failed_runs(api: ApiClient, environment: EnvironmentId) -> object:
    """Show the failed runs of the last report, by flow.

    Examples:
        cmkflow environment failed-runs Operations
    """
    return api.send(ApiCall(method="GET", path=("environments", environment, "failed-runs")))


_COLUMNS = (
    Column("Flow", itemgetter("display_name")),
    Column("Failed", itemgetter("failed_count"), Kind.NUMBER),
    Column("First (UTC)", lambda one: format_minute(one["first_failed_at"]), Kind.WORD),
    Column("Last (UTC)", lambda one: format_minute(one["last_failed_at"]), Kind.WORD),
    Column("Error code", lambda one: " ".join(one["error_codes"]), Kind.WORD),
    Column("Runs", itemgetter("runs_url"), Kind.PATH),
)


def _format_report(answer: Any) -> RenderableType:
    parts: list[RenderableType] = [
        Listing(columns=_COLUMNS, items=answer["flows"])
        if answer["flows"]
        else Text("No failed run was found." if answer["unread_text"] else "No run failed.")
    ]
    parts.append(Text(f"{answer['day']} (UTC). Flows read: {answer['read_count']}."))
    if answer["unread_text"]:
        parts.append(Text(f"Not complete: {answer['unread_text']}"))
    return Group(*parts)
