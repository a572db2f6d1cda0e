"""`cmkflow status`: show the status of the tenant."""

from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Listing
from cmkflow.remediation_tables import unreadable
from cmkflow.timestamps import until, when
from shared.domain.plans.display_text import format_not_migrated

#: Kinds shown in red.
_URGENT = {"both_off"}


def register(group: typer.Typer) -> None:

    @api_command(group, "status", show=status_text)
    def status(api: ApiClient) -> object:
        """Show the actions required, and the status of environments and flows."""
        return api.send(ApiCall(method="GET", path=("status",)))


def status_text(answer: Any) -> RenderableType:
    """Return the answer of `GET /api/status` for 80 columns, actions required first."""
    return Group(
        *_pending_actions(answer["pending_actions"]),
        *_totals(answer),
        *_environments(answer["environments"]),
        *_ongoing(answer["ongoing"]),
        *unreadable(answer),
    )


def status_lines(answer: Any) -> dict[str, str]:
    """Return a line for each action required and each environment, by name."""
    lines = {
        f"{one['environment_name'] or one['environment_id']}": f"{one['state']}: {_flows(one)}"
        for one in answer["environments"]
    }
    waiting = {one["title"]: f"{one['message']} {one['fix']}" for one in answer["pending_actions"]}
    return {**waiting, **lines}


def _flows(environment: Any) -> str:
    return ", ".join(f"{count} {state}" for state, count in environment["flows"].items())


def _pending_actions(waiting: Any) -> Iterable[Text]:
    if not waiting:
        yield Text("No action required.", style="green")
    for number, one in enumerate(waiting, 1):
        style = "bold red" if one["kind"] in _URGENT else "bold yellow"
        yield Text(f"{number}. {one['title']}", style=style)
        if one["flows"]:
            more = one["count"] - len(one["flows"])
            yield Text("   " + ", ".join(one["flows"]) + (f" and {more} more" if more else ""))
        yield Text(f"   Why: {one['message']}")
        if one["fix"]:
            yield Text(f"   Fix: {one['fix']}")
        if one["expires_at"]:
            yield Text(f"   Expires {when(one['expires_at'])}.")
        yield Text(f"   Then: {one['next_command']}")


def _totals(answer: Any) -> Iterable[Text]:
    if answer["flows"]:
        counts = ", ".join(f"{count} {state}" for state, count in answer["flows"].items())
        yield Text(f"\nFlows: {counts}")
    left = format_not_migrated(answer["not_migrated"])
    yield Text(f"Not migrated: {sum(answer['not_migrated'].values())}")
    for line in left:
        yield Text(f"  {line}")


def _environments(environments: Any) -> list[RenderableType]:
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["state"],
            _flows(one),
            str(sum(one["not_migrated"].values()) or ""),
        )
        for one in environments
    ]
    titles = ("Environment", "State", "Flows", "Not migrated")
    return [Text(), Listing(titles=titles, rows=rows)] if rows else []


def _ongoing(ongoing: Any) -> Iterable[RenderableType]:
    if not ongoing:
        return
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["step"],
            str(one["count"]),
            until(one["first_check_at"]),
            when(one["last_check_at"]),
        )
        for one in ongoing
    ]
    yield Text("\nIn progress:")
    titles = ("Environment", "Step", "Flows", "Next check", "Last check")
    yield Listing(titles=titles, rows=rows)
