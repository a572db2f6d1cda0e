"""Answers of the API as tables. Texts come from a tenant: as `Text`, none is taken for markup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cmkflow.finish_tables import finish_lines
from shared.domain.jobs.deletion_states import DELETION_STATES
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.jobs.remediation_states import REMEDIATION_STATES
from shared.domain.jobs.state_table import Actor, Facts
from shared.domain.plans.words import left_in_words, state_in_words


def _style(facts: Facts) -> str:
    if facts.acts is Actor.PERSON:
        return "bold red" if facts.is_stuck else "bold yellow"
    if facts.is_pause:
        return "yellow"
    return "green" if facts.is_goal else ""


_STYLES = {
    str(state): _style(facts)
    for table in (FLOW_STATES, ENVIRONMENT_STATES, DELETION_STATES, REMEDIATION_STATES)
    for state, facts in table.items()
}

#: Columns that are never broken: what is copied from them goes into the next command.
_WHOLE = {"Remediation", "Id", "Mode", "State"}
#: Longer causes are cut in the list: `remediation show` has the whole of it.
_CAUSE_LENGTH = 18


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; a column without content is left out."""
    kept = list(rows)
    shown = [i for i in range(len(titles)) if not kept or any(row[i] for row in kept)]
    drawn = Table(header_style="bold")
    for column in shown:
        title = titles[column]
        drawn.add_column(title, overflow="fold", no_wrap=title in _WHOLE)
    for row in kept:
        drawn.add_row(*(Text(row[column], style=_STYLES.get(row[column], "")) for column in shown))
    return drawn


def facts(items: Mapping[str, str]) -> Table:
    """Return names and values, one a line; what is empty is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
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
        "is cancelled": "are cancelled",
    }
    return Text(f"1 {noun} {verb}." if number == 1 else f"{number} {noun}s {plural[verb]}.")


def minute(moment: str | None) -> str:
    """Return a time of an answer to the minute; nothing for none."""
    return (moment or "")[:16].replace("T", " ")


def remediation_table(answer: Any) -> RenderableType:
    """Return one line for each remediation, and for each row that cannot be read."""
    rows = []
    for item in answer["items"]:
        remediation, progress = item["remediation"], item["progress"]
        rows.append(
            (
                remediation["id"],
                minute(remediation["created"]),
                remediation["mode"],
                _cause(remediation),
                state_in_words(progress["state"], progress["left"]),
                str(progress["stuck"] or ""),
                str(progress["neither_on"] or ""),
            )
        )
    titles = (
        *("Remediation", "Created (UTC)", "Mode", "Cause", "State", "Need a person"),
        "NEITHER IS ON",
    )
    return Group(table(titles, rows), *unreadable(answer))


def unreadable(answer: Any) -> Iterable[Text]:
    """Yield a line for each row that the app cannot read."""
    for one in answer["unreadable"]:
        text = f"The row {'/'.join(one['row'])} cannot be read: {one['reason']}"
        yield Text(text, style="bold red")


def _cause(remediation: Any) -> str:
    """Return the name of an order, else what set the app going: events have long ids."""
    cause, origin = str(remediation["cause"]), str(remediation["origin"])
    if origin != "order":
        return origin.replace("_", " ")
    return cause if len(cause) <= _CAUSE_LENGTH else f"{cause[: _CAUSE_LENGTH - 1]}…"


def remediation_detail(answer: Any) -> RenderableType:
    """Return how far a remediation is: totals, environments and flows, what a person has to do."""
    remediation, progress = answer["remediation"], answer["progress"]
    due = progress["next_due"]
    head = facts(
        {
            "NEITHER IS ON": _neither(progress["neither_on"]),
            "Remediation": remediation["id"],
            "Asked for": f"{remediation['mode']} by {remediation['origin'].replace('_', ' ')}",
            "Cause": remediation["cause"],
            "State": state_in_words(progress["state"], progress["left"]),
            "Still on Microsoft's key": "\n".join(left_in_words(progress["left"])),
            "Flows": _counts(progress["flows"]),
            "Need a person": str(progress["stuck"] or ""),
            "Next step": f"{minute(due)} UTC" if due else "none by itself",
        }
    )
    every = sorted([*answer["environment_jobs"], *answer["jobs"]], key=_needs_nobody)
    jobs = [
        (
            _name(job),
            job.get("original_id") or job["environment_id"],
            job["state"],
            _reached(job),
            _why(job, remediation["mode"]),
        )
        for job in every
    ]
    titles = ("Environment / flow", "Id", "State", "Reached", "Why")
    return Group(
        head,
        table(titles, jobs),
        *(Text(line) for job in every if job["instruction"] for line in _need(job)),
        *_commands(remediation["id"], progress),
        *_notes(every),
        *finish_lines(answer),
        *unreadable(answer),
        *_history(answer),
    )


def _needs_nobody(job: Any) -> bool:
    return not job["instruction"]


def _neither(number: int) -> str:
    return f"{number} flow{'s' if number > 1 else ''}: see below, at once" if number else ""


def _name(job: Any) -> str:
    return str(job.get("display_name") or job["environment_name"] or job["environment_id"])


def _why(job: Any, asked: str) -> str:
    """Return why a job waits, or why an environment got less than was asked for."""
    if job["instruction"]:
        return "see below"
    if job.get("mode", asked) != asked:
        return f"only in mode {job['mode']}, which is all that its environment allows"
    return str(job["reason"])


def _need(job: Any) -> tuple[str, ...]:
    code = f" ({job['code']})" if job.get("code") else ""
    return (
        f"{_name(job)}: {job['state']}{code}",
        f"  Why: {job['reason']}",
        f"  To do: {job['instruction']}",
    )


def _commands(remediation: str, progress: Any) -> Iterable[Text]:
    """Yield the commands that come next, for whoever was woken."""
    if progress["state"] == "awaiting_approval":
        yield Text(f"Look at the plan and approve it: cmkflow plan approve {remediation}")
    if progress["stuck"]:
        yield Text(f"When that is done: cmkflow remediation retry {remediation}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _reached(job: Any) -> str:
    reached = job.get("reached", "")
    return "" if reached == job["state"] else str(reached)


def _notes(jobs: Iterable[Any]) -> Iterable[Text]:
    """Yield each note once, with those that it is about: many flows share one."""
    about: dict[str, list[str]] = {}
    for job in jobs:
        for note in job.get("notes") or job.get("findings") or ():
            about.setdefault(note, []).append(_name(job))
    yield from (Text(f"Note: {note} [{', '.join(names)}]") for note, names in about.items())


def _history(answer: Any) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for job in [*answer["environment_jobs"], *answer["jobs"]]:
        lines += [
            Text(f"{change['at']}  {_name(job)}  {change['state']}: {change['text']}")
            for change in job["history"]
        ]
    return lines
