"""`cmkflow status`: show the status of the tenant."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow import timestamps
from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import Shown, api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import (
    Command,
    Headline,
    Paragraph,
    shorten_ids_in_command,
    shorten_resource_ids,
)
from cmkflow.remediation_tables import format_unreadable_rows
from cmkflow.timestamps import format_minute, format_time_left, format_time_left_or_date
from shared.domain.plans.display_text import count_undecided_flows, format_not_migrated

#: Kinds shown in red.
_URGENT = {"both_off"}
#: Most lines of a fix in the short text.
_LINES = 2


def add_status_command(group: typer.Typer) -> None:

    @api_command(group, "status", show=format_status)
    def show_status(
        api: ApiClient,
        full: Annotated[
            bool, typer.Option("--full", help="Show reasons and fixes without shortening them.")
        ] = False,
    ) -> object:
        """Show the actions required, and the status of environments and flows.

        Examples:
            cmkflow status
            cmkflow status --query not_migrated
        """
        answer = api.send(ApiCall(method="GET", path=("status",)))
        return Shown(answer=answer, show=lambda found: format_status(found, is_full=full))


def format_status(answer: Any, *, is_full: bool = False) -> RenderableType:
    """Return the status of the tenant, with actions required first."""
    return Group(
        *_format_pending_actions(answer, is_full=is_full),
        *_format_environments(answer["environments"]),
        *_format_flows_not_migrated(answer),
        *_format_ongoing_work(answer["ongoing"]),
        *format_unreadable_rows(answer),
    )


def format_status_lines(answer: Any) -> dict[str, str]:
    """Return a line for each action required and each environment, by name."""
    lines = {
        _format_environment_name(one): f"{one['state']}: {_format_flow_counts(one)}"
        for one in answer["environments"]
    }
    waiting = {one["title"]: f"{one['message']} {one['fix']}" for one in answer["pending_actions"]}
    return {**waiting, **lines}


def _format_environment_name(one: Any) -> str:
    return str(one["environment_name"] or one["environment_id"])


def _format_flow_counts(environment: Any) -> str:
    return ", ".join(f"{count} {state}" for state, count in environment["flows"].items())


def _format_pending_actions(answer: Any, *, is_full: bool) -> Iterable[RenderableType]:
    actions, at = answer["pending_actions"], f"updated {timestamps.now():%H:%M} UTC"
    if not actions:
        left = count_undecided_flows(answer["not_migrated"])
        more = f", {left} {'flow' if left == 1 else 'flows'} not migrated" if left else ""
        yield Headline(left=f"No action required{more}", right=at)
        return
    yield Headline(left=f"Action required · {len(actions)}", right=at)
    for number, one in enumerate(actions, 1):
        style = "bold red" if one["kind"] in _URGENT else "bold yellow"
        yield Text.assemble(f"\n{number:<3}", (one["title"], style))
        yield Paragraph(text=f"{one['actor']}{_format_expiry_or_start(one)}", indent=3, style="dim")
        if one["flows"]:
            more = one["count"] - len(one["flows"])
            names = ", ".join(one["flows"]) + (f", +{more}" if more > 0 else "")
            yield Paragraph(text=names, indent=3, max_lines=None if is_full else 1)
        if is_full or not one["fix"]:
            yield Paragraph(label="Why", text=one["message"], indent=3)
        if one["fix"]:
            fix = (
                one["fix"] if is_full else shorten_resource_ids(shorten_ids_in_command(one["fix"]))
            )
            lines = None if is_full else _LINES
            yield Paragraph(label="Fix", text=fix, indent=3, max_lines=lines)
        yield Command(label="Then", command=one["next_command"], indent=3)


def _format_expiry_or_start(one: Any) -> str:
    if one["expires_at"]:
        return f" · expires {format_time_left_or_date(one['expires_at'])}"
    return f" · since {format_minute(one['pending_since'])} UTC" if one["pending_since"] else ""


def _format_flows_not_migrated(answer: Any) -> Iterable[RenderableType]:
    if left := format_not_migrated(answer["not_migrated"]):
        yield Text(f"\nNot migrated: {sum(answer['not_migrated'].values())}", style="bold")
        yield from (Paragraph(text=line) for line in left)


def _format_environments(environments: Any) -> list[RenderableType]:
    return (
        [Text(), Listing(columns=_ENVIRONMENT_COLUMNS, items=environments)] if environments else []
    )


def _format_ongoing_work(ongoing: Any) -> Iterable[RenderableType]:
    if ongoing:
        yield Text("\nIn progress", style="bold")
        yield Listing(columns=_ONGOING_COLUMNS, items=ongoing)


_ENVIRONMENT_COLUMNS = (
    Column("Environment", _format_environment_name),
    Column("State", lambda one: one["state"], Kind.WORD),
    Column("Flows", _format_flow_counts),
    Column("Not migrated", lambda one: sum(one["not_migrated"].values()), Kind.NUMBER),
    Column("Remediation", lambda one: one["remediation_id"], Kind.ID),
)
_ONGOING_COLUMNS = (
    Column("Environment", _format_environment_name),
    Column("Step", lambda one: one["step"]),
    Column("Flows", lambda one: one["count"], Kind.NUMBER),
    Column("Next check", lambda one: format_time_left(one["first_check_at"]), Kind.WORD),
    Column("Last check", lambda one: format_time_left_or_date(one["last_check_at"]), Kind.WORD),
)
