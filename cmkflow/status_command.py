"""`cmkflow status`: what is wrong, what waits for whom, how far is the tenant."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.answer_tables import minute, table, unreadable
from cmkflow.api_client import Api, Call
from cmkflow.api_command import api_command
from shared.domain.plans.words import left_in_words

#: In the order of the API: what cannot wait stands first.
_URGENT = {"neither_on"}
_HOUR, _DAY = 3600, 86400


def register(group: typer.Typer) -> None:
    """Add `status` to the top of the command line."""

    @api_command(group, "status", show=status_text)
    def status(api: Api) -> object:
        """Show what is wrong, what waits for you and how far the tenant is."""
        return api.send(Call(method="GET", path=("attention",)))


def status_text(answer: Any) -> RenderableType:
    """Return the answer of `GET /api/attention` for 80 columns, what a person has to do first."""
    now = datetime.now(UTC)
    return Group(
        *_waiting(answer["waiting"], now),
        *_totals(answer),
        *_environments(answer["environments"]),
        *_by_itself(answer["by_itself"], now),
        *unreadable(answer),
    )


def _waiting(waiting: Any, now: datetime) -> Iterable[Text]:
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
        if one["lapses"]:
            yield Text(f"   It lapses {_when(one['lapses'], now)}.")
        yield Text(f"   Then: {one['command']}")


def _totals(answer: Any) -> Iterable[Text]:
    if answer["flows"]:
        counts = ", ".join(f"{count} {state}" for state, count in answer["flows"].items())
        yield Text(f"\nFlows: {counts}")
    left = left_in_words(answer["left"])
    yield Text(f"Still on Microsoft's key: {sum(answer['left'].values())}")
    for line in left:
        yield Text(f"  {line}")


def _environments(environments: Any) -> list[RenderableType]:
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["state"],
            ", ".join(f"{count} {state}" for state, count in one["flows"].items()),
            str(sum(one["left"].values()) or ""),
        )
        for one in environments
    ]
    return [Text(), table(("Environment", "State", "Flows", "Left"), rows)] if rows else []


def _by_itself(by_itself: Any, now: datetime) -> Iterable[RenderableType]:
    if not by_itself:
        return
    rows = [
        (
            one["environment_name"] or one["environment_id"],
            one["reached"],
            str(one["count"]),
            _when(one["first"], now),
            _when(one["last"], now),
        )
        for one in by_itself
    ]
    yield Text("\nGoes on by itself:")
    yield table(("Environment", "Reached", "Flows", "Next", "Last"), rows)


def _when(moment: str | None, now: datetime) -> str:
    """Return a time as a person says it: how long from now, and the hour or the day."""
    if moment is None:
        return ""
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    if seconds < 0:
        return "now"
    if seconds < _HOUR:
        return f"in {max(1, round(seconds / 60))} min"
    if seconds < 2 * _DAY:
        return f"in {round(seconds / _HOUR)} h ({minute(moment)[11:]})"
    return f"in {round(seconds / _DAY)} days ({minute(moment)[:10]})"
