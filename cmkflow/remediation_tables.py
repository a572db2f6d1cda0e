"""Answers of the API as tables. Texts come from a tenant: as `Text`, none is taken for markup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import Listing, ShortId, facts
from cmkflow.run_archive_tables import finish_lines
from cmkflow.timestamps import minute, until
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.name_lookup import short_ids
from shared.domain.plans.display_text import format_not_migrated, format_state

#: So many flows are named that one text is about.
_NAMED = 5


def counted(number: int, noun: str, verb: str) -> Text:
    """Return a sentence such as `3 jobs go on.`; `verb` is in the singular."""
    plural = {
        "goes on": "go on",
        "is on its way": "are on their way",
        "is approved": "are approved",
        "is cancelled": "are cancelled",
    }
    return Text(f"1 {noun} {verb}." if number == 1 else f"{number} {noun}s {plural[verb]}.")


def remediation_table(answer: Any) -> RenderableType:
    """Return one line for each remediation, and for each row that cannot be read."""
    items = answer["items"]
    ids = short_ids(item["remediation"]["id"] for item in items)
    rows, notes = [], []
    for item in items:
        remediation, progress = item["remediation"], item["progress"]
        rows.append(
            (
                ShortId(remediation["id"], ids[remediation["id"]]),
                minute(remediation["created"]),
                remediation["mode"],
                _cause(remediation),
                format_state(progress["state"], progress["left"]),
                str(progress["stuck"] or ""),
            )
        )
        notes.append(_neither(progress["both_off_count"], "cmkflow remediation show"))
    titles = ("Remediation", "Created (UTC)", "Mode", "Cause", "State", "Stuck")
    listing = Listing(titles=titles, rows=rows, notes=notes, next=answer["next"])
    return Group(listing, *unreadable(answer))


def unreadable(answer: Any) -> Iterable[Text]:
    """Yield a line for each row that the app cannot read."""
    for one in answer["unreadable"]:
        text = f"The row {'/'.join(one['row'])} cannot be read: {one['reason']}"
        yield Text(text, style="bold red")
        yield Text(f"  {one['instruction']}")


def _cause(remediation: Any) -> str:
    """Return the name of an order, else what set the app going: events have long ids."""
    cause, origin = str(remediation["cause"]), str(remediation["origin"])
    return cause if origin == "api_request" else origin.replace("_", " ")


def remediation_detail(answer: Any) -> RenderableType:
    """Return how far a remediation is: totals, environments and flows, what a person has to do."""
    remediation, progress = answer["remediation"], answer["progress"]
    due, expires = progress["next_check_at"], progress["expires"]
    head = facts(
        {
            "NEITHER IS ON": _neither(progress["both_off_count"], "see below, at once"),
            "Remediation": remediation["id"],
            "Asked for": f"{remediation['mode']} by {remediation['origin'].replace('_', ' ')}",
            "Cause": remediation["cause"],
            "State": format_state(progress["state"], progress["left"]),
            "Still on Microsoft's key": "\n".join(format_not_migrated(progress["left"])),
            "Flows": _counts(progress["flows"]),
            "Need a person": str(progress["stuck"] + len(answer["needs_changes"]) or ""),
            "Next step": f"{until(due)}, {minute(due)} UTC" if due else "none by itself",
            "Approval expires": f"{until(expires)}, {minute(expires)} UTC" if expires else "",
        }
    )
    every = sorted([*answer["environment_jobs"], *answer["jobs"]], key=_urgency)
    return Group(
        head,
        Text(),
        _jobs(every, remediation["mode"]),
        *_needs(every),
        *_changes(answer["needs_changes"]),
        *_commands(remediation["id"], progress),
        *_notes(every),
        *finish_lines(answer),
        *unreadable(answer),
        *_history(answer),
    )


def watched_lines(answer: Any) -> dict[str, str]:
    """Return a line for the remediation and each job of it, as they change."""
    remediation, progress = answer["remediation"], answer["progress"]
    lines = {remediation["id"]: format_state(progress["state"], progress["left"])}
    for job in [*answer["environment_jobs"], *answer["jobs"]]:
        state = f"{job['state']} ({job['code']})" if job["code"] else job["state"]
        lines[f"{_id(job)} {_name(job)}"] = f"{state}: {_why(job, remediation['mode'])}"
    return lines


def _jobs(jobs: Sequence[Any], mode: str) -> Listing:
    """Return two lines for each: how far it is, and why it is no further."""
    ids = short_ids(map(_id, jobs))
    rows = [
        (
            _name(job),
            ShortId(_id(job), ids[_id(job)]),
            job["state"],
            _reached(job),
            until(job["due"]),
        )
        for job in jobs
    ]
    titles = ("Environment / flow", "Id", "State", "Reached", "Next")
    return Listing(titles=titles, rows=rows, notes=[_why(job, mode) for job in jobs])


def _urgency(job: Any) -> tuple[bool, bool, bool]:
    """Return where it stands: what needs a person first, then environments, what is done last."""
    facts = FLOW_STATES.get(job["state"])
    return not job["instruction"], "original_id" in job, bool(facts and facts.is_success)


def _neither(number: int, where: str) -> str:
    if not number:
        return ""
    return f"NEITHER IS ON: {number} flow{'s' if number > 1 else ''}; {where}"


def _name(job: Any) -> str:
    return str(job.get("display_name") or job["environment_name"] or job["environment_id"])


def _id(job: Any) -> str:
    return str(job.get("original_id") or job["environment_id"])


def _why(job: Any, asked: str) -> str:
    """Return why a job waits, or why an environment got less than was asked for."""
    if job.get("mode", asked) != asked:
        return f"only in mode {job['mode']}, which is all that its environment allows"
    return str(job["reason"])


def _needs(jobs: Iterable[Any]) -> Iterable[Text]:
    """Yield what a person has to do, once for all jobs that need the same."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        if job["instruction"]:
            what = (job["state"], job["code"], job["reason"], job["instruction"])
            alike.setdefault(what, []).append(_name(job))
    for (state, code, reason, instruction), names in alike.items():
        yield Text(f"{first_names(names)}: {state}" + (f" ({code})" if code else ""))
        yield Text(f"  Why: {reason}")
        yield Text(f"  To do: {instruction}")


def _changes(flows: Iterable[Any]) -> Iterable[Text]:
    """Yield what a person has to change in flows that have no job, once for all alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for flow in flows:
        what = (flow["reason"], flow["instruction"])
        alike.setdefault(what, []).append(flow["display_name"])
    for (reason, instruction), names in alike.items():
        yield Text(f"{first_names(names)}: needs changes first")
        yield Text(f"  Why: {reason}")
        yield Text(f"  To do: {instruction}")


def first_names(names: Sequence[str]) -> str:
    """Return the first of them, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _commands(remediation: str, progress: Any) -> Iterable[Text]:
    """Yield the commands that come next, for whoever was woken."""
    if progress["state"] == "awaiting_approval":
        yield Text(f"Look at the plan and approve it:\n  cmkflow approve {remediation}")
    if progress["stuck"]:
        yield Text(f"When that is done:\n  cmkflow retry {remediation}")


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
    yield from (Text(f"Note: {note} [{first_names(names)}]") for note, names in about.items())


def _history(answer: Any) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for job in [*answer["environment_jobs"], *answer["jobs"]]:
        for change in job["history"]:
            number = change["calls"]
            calls = f" ({number} call{'s' if number > 1 else ''})" if number else ""
            line = f"{change['at']}  {_name(job)}  {change['state']}: {change['text']}{calls}"
            lines.append(Text(line))
    return lines
