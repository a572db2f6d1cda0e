"""`cmkflow status`: what is wrong, what waits for whom, how far is the tenant."""

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

#: In the order of the API: what cannot wait stands first.
_URGENT = {"both_off"}


def register(group: typer.Typer) -> None:
    """Add `status` to the top of the command line."""

    @api_command(group, "status", show=status_text)
    def status(api: ApiClient) -> object:
        """Show what is wrong, what waits for you and how far the tenant is."""
        return api.send(ApiCall(method="GET", path=("status",)))


def status_text(answer: Any) -> RenderableType:
    """Return the answer of `GET /api/status` for 80 columns, what a person has to do first."""
    return Group(
        *_waiting(answer["waiting"]),
        *_totals(answer),
        *_environments(answer["environments"]),
        *_by_itself(answer["ongoing"]),
        *unreadable(answer),
    )


def status_lines(answer: Any) -> dict[str, str]:
    """Return a line for each cause that waits, and each environment, as they change."""
    lines = {
        f"{one['environment_name'] or one['environment_id']}": f"{one['state']}: {_flows(one)}"
        for one in answer["environments"]
    }
    waiting = {one["title"]: f"{one['reason']} {one['instruction']}" for one in answer["waiting"]}
    return {**waiting, **lines}


def _flows(standing: Any) -> str:
    return ", ".join(f"{count} {state}" for state, count in standing["flows"].items())


def _waiting(waiting: Any) -> Iterable[Text]:
    if not waiting:
        yield Text("Nothing waits for a person.", style="green")
    for number, one in enumerate(waiting, 1):
        style = "bold red" if one["cause"] in _URGENT else "bold yellow"
        yield Text(f"{number}. {one['title']}", style=style)
        if one["flows"]:
            more = one["count"] - len(one["flows"])
            yield Text("   " + ", ".join(one["flows"]) + (f" and {more} more" if more else ""))
        yield Text(f"   Why: {one['reason']}")
        if one["instruction"]:
            yield Text(f"   To do: {one['instruction']}")
        if one["expires_at"]:
            yield Text(f"   It lapses {when(one['expires_at'])}.")
        yield Text(f"   Then: {one['command']}")


def _totals(answer: Any) -> Iterable[Text]:
    if answer["flows"]:
        counts = ", ".join(f"{count} {state}" for state, count in answer["flows"].items())
        yield Text(f"\nFlows: {counts}")
    left = format_not_migrated(answer["left"])
    yield Text(f"Still on Microsoft's key: {sum(answer['left'].values())}")
    for line in left:
        yield Text(f"  {line}")


def _environments(environments: Any) -> list[RenderableType]:
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["state"],
            _flows(one),
            str(sum(one["left"].values()) or ""),
        )
        for one in environments
    ]
    titles = ("Environment", "State", "Flows", "Left")
    return [Text(), Listing(titles=titles, rows=rows)] if rows else []


def _by_itself(by_itself: Any) -> Iterable[RenderableType]:
    if not by_itself:
        return
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["reached"],
            str(one["count"]),
            until(one["first"]),
            when(one["last"]),
        )
        for one in by_itself
    ]
    yield Text("\nGoes on by itself:")
    titles = ("Environment", "Reached", "Flows", "Next", "Last")
    yield Listing(titles=titles, rows=rows)
