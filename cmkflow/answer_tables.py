"""Answers of the API as tables. Texts come from a tenant: as `Text`, none is taken for markup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cmkflow.finish_tables import finish_lines

_STYLES = {
    "blocked": "bold red",
    "failed": "bold red",
    "stuck": "bold red",
    "awaiting_approval": "bold yellow",
    "waiting": "yellow",
    "retired": "green",
    "prepared": "green",
    "finished": "green",
}


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; a column without content is left out."""
    kept = list(rows)
    shown = [i for i in range(len(titles)) if not kept or any(row[i] for row in kept)]
    drawn = Table(header_style="bold")
    for column in shown:
        drawn.add_column(titles[column], overflow="fold")
    for row in kept:
        drawn.add_row(*(Text(row[column], style=_STYLES.get(row[column], "")) for column in shown))
    return drawn


def facts(items: Mapping[str, str]) -> Table:
    """Return names and values, one a line; what is empty is left out."""
    grid = Table.grid(padding=(0, 2))
    for name, value in items.items():
        if value:
            grid.add_row(Text(name, style="bold"), Text(value, style=_STYLES.get(value, "")))
    return grid


def counted(number: int, noun: str, verb: str) -> Text:
    """Return a sentence such as `3 jobs go on.`; `verb` is in the singular."""
    plural = {
        "goes on": "go on",
        "is on its way": "are on their way",
        "is approved": "are approved",
    }
    return Text(f"1 {noun} {verb}." if number == 1 else f"{number} {noun}s {plural[verb]}.")


def remediation_table(answer: Any) -> Table:
    """Return one line for each remediation."""
    rows = []
    for item in answer["items"]:
        remediation, progress = item["remediation"], item["progress"]
        rows.append(
            (
                remediation["id"],
                remediation["created"][:16].replace("T", " "),
                remediation["mode"],
                remediation["origin"],
                remediation["cause"],
                progress["state"],
            )
        )
    return table(("Remediation", "Created (UTC)", "Mode", "Origin", "Cause", "State"), rows)


def remediation_detail(answer: Any) -> RenderableType:
    """Return how far a remediation is: totals, environments, flows with what each waits for."""
    remediation, progress = answer["remediation"], answer["progress"]
    head = facts(
        {
            "Remediation": remediation["id"],
            "Asked for": f"{remediation['mode']} by {remediation['origin']}",
            "Cause": remediation["cause"],
            "State": progress["state"],
            "Flows": _counts(progress["flows"]),
            "Need a person": str(progress["stuck"] or ""),
            "Next step": progress["next_due"] or "none by itself",
        }
    )
    jobs = [
        (
            job.get("display_name") or job["environment_name"] or job["environment_id"],
            job["state"],
            _reached(job),
            job["reason"],
            job["instruction"],
            *_findings(job),
        )
        for job in [*answer["environment_jobs"], *answer["jobs"]]
    ]
    titles = ("Environment / flow", "State", "Reached", "Why", "What to do", "Note")
    return Group(head, table(titles, jobs), *finish_lines(answer), *_history(answer))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _reached(job: Any) -> str:
    reached = job.get("reached", "")
    return "" if reached == job["state"] else str(reached)


def _findings(job: Any) -> tuple[str]:
    return ("\n".join(job.get("notes") or job.get("findings") or ()),)


def _history(answer: Any) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for job in [*answer["environment_jobs"], *answer["jobs"]]:
        name = job.get("display_name") or job["environment_id"]
        lines += [
            Text(f"{change['at']}  {name}  {change['state']}: {change['text']}")
            for change in job["history"]
        ]
    return lines
