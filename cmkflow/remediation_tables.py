"""Format answers as tables. `Text` prevents markup in names from being interpreted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import Listing, ShortId, facts
from cmkflow.run_archive_tables import archive_and_deletion_lines
from cmkflow.timestamps import minute, until
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.name_lookup import short_ids
from shared.domain.plans.display_text import format_not_migrated, format_state

#: Maximum number of names in one text.
_NAMED = 5


def counted(number: int, noun: str, participle: str) -> Text:
    """Return a sentence such as `3 jobs are retried.`"""
    subject = f"1 {noun} is" if number == 1 else f"{number} {noun}s are"
    return Text(f"{subject} {participle}.")


def remediation_table(answer: Any) -> RenderableType:
    """Return one row for each remediation, and a line for each row that cannot be read."""
    items = answer["items"]
    ids = short_ids(item["remediation"]["id"] for item in items)
    rows, notes = [], []
    for item in items:
        remediation, progress = item["remediation"], item["progress"]
        rows.append(
            (
                ShortId(remediation["id"], ids[remediation["id"]]),
                minute(remediation["created_at"]),
                remediation["mode"],
                _source(remediation),
                format_state(progress["state"], progress["not_migrated"]),
                str(progress["action_required_count"] or ""),
            )
        )
        notes.append(_both_off(progress["both_off_count"], "cmkflow remediation show"))
    titles = ("Remediation", "Created (UTC)", "Mode", "Source", "State", "Blocked")
    listing = Listing(titles=titles, rows=rows, notes=notes, next=answer["next"])
    return Group(listing, *unreadable(answer))


def unreadable(answer: Any) -> Iterable[Text]:
    for one in answer["unreadable_rows"]:
        text = f"Cannot read row {'/'.join(one['row'])}: {one['message']}"
        yield Text(text, style="bold red")
        yield Text(f"  {one['fix']}")


def _source(remediation: Any) -> str:
    """Return the idempotency key of a manual start, else the start source, because event ids are
    long.
    """
    idempotency_key, source = remediation["idempotency_key"], str(remediation["start_source"])
    return str(idempotency_key) if source == "api_request" else source.replace("_", " ")


def remediation_detail(answer: Any) -> RenderableType:
    """Return totals, environments, flows and required actions of a remediation."""
    remediation, progress = answer["remediation"], answer["progress"]
    due, expires = progress["next_check_at"], progress["approval_expires_at"]
    head = facts(
        {
            "BOTH OFF": _both_off(progress["both_off_count"], "fix these first"),
            "Remediation": remediation["id"],
            "Mode and source": (
                f"{remediation['mode']} by {remediation['start_source'].replace('_', ' ')}"
            ),
            "Idempotency key": remediation["idempotency_key"],
            "State": format_state(progress["state"], progress["not_migrated"]),
            "Not migrated": "\n".join(format_not_migrated(progress["not_migrated"])),
            "Flows": _counts(progress["flow_states"]),
            "Actions required": str(
                progress["action_required_count"] + len(answer["needs_changes"]) or ""
            ),
            "Next check": f"{until(due)}, {minute(due)} UTC" if due else "none",
            "Approval expires": f"{until(expires)}, {minute(expires)} UTC" if expires else "",
        }
    )
    every = sorted([*answer["environment_jobs"], *answer["flow_jobs"]], key=_sort_key)
    return Group(
        head,
        Text(),
        _jobs(every, remediation["mode"]),
        *_required_actions(every),
        *_required_changes(answer["needs_changes"]),
        *_commands(remediation["id"], progress),
        *_notes(every),
        *archive_and_deletion_lines(answer),
        *unreadable(answer),
        *_history(answer),
    )


def watched_lines(answer: Any) -> dict[str, str]:
    """Return a line for the remediation and for each of its jobs, by name."""
    remediation, progress = answer["remediation"], answer["progress"]
    lines = {remediation["id"]: format_state(progress["state"], progress["not_migrated"])}
    for job in [*answer["environment_jobs"], *answer["flow_jobs"]]:
        state = f"{job['state']} ({job['reason_code']})" if job["reason_code"] else job["state"]
        lines[f"{_id(job)} {_name(job)}"] = f"{state}: {_why(job, remediation['mode'])}"
    return lines


def _jobs(jobs: Sequence[Any], mode: str) -> Listing:
    """Return two lines for each job: its state, and why it waits."""
    ids = short_ids(map(_id, jobs))
    rows = [
        (
            _name(job),
            ShortId(_id(job), ids[_id(job)]),
            job["state"],
            _step(job),
            until(job["next_check_at"]),
        )
        for job in jobs
    ]
    titles = ("Environment / flow", "Id", "State", "Step", "Next")
    return Listing(titles=titles, rows=rows, notes=[_why(job, mode) for job in jobs])


def _sort_key(job: Any) -> tuple[bool, bool, bool]:
    """Sort key: required actions first, then environments, migrated flows last."""
    facts = FLOW_STATES.get(job["state"])
    return not job["fix"], "original_id" in job, bool(facts and facts.is_success)


def _both_off(number: int, where: str) -> str:
    if not number:
        return ""
    return f"ORIGINAL AND COPY ARE BOTH OFF: {number} flow{'s' if number > 1 else ''}; {where}"


def _name(job: Any) -> str:
    return str(job.get("display_name") or job["environment_name"] or job["environment_id"])


def _id(job: Any) -> str:
    return str(job.get("original_id") or job["environment_id"])


def _why(job: Any, asked: str) -> str:
    """Return why a job waits, or why an environment has another mode than requested."""
    if job.get("mode", asked) != asked:
        return f"only mode {job['mode']}, because the environment's settings allow no more"
    return str(job["message"])


def _required_actions(jobs: Iterable[Any]) -> Iterable[Text]:
    """Yield each required action once for all jobs that need it."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        if job["fix"]:
            what = (job["state"], job["reason_code"], job["message"], job["fix"])
            alike.setdefault(what, []).append(_name(job))
    for (state, code, reason, fix), names in alike.items():
        yield Text(f"{first_names(names)}: {state}" + (f" ({code})" if code else ""))
        yield Text(f"  Why: {reason}")
        yield Text(f"  Fix: {fix}")


def _required_changes(flows: Iterable[Any]) -> Iterable[Text]:
    """Yield each required change of flows without a job, once for all flows that need it."""
    alike: dict[tuple[str, str], list[str]] = {}
    for flow in flows:
        what = (flow["message"], flow["fix"])
        alike.setdefault(what, []).append(flow["display_name"])
    for (reason, fix), names in alike.items():
        yield Text(f"{first_names(names)}: needs changes first")
        yield Text(f"  Why: {reason}")
        yield Text(f"  Fix: {fix}")


def first_names(names: Sequence[str]) -> str:
    """Return the first names and the number of the others."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _commands(remediation: str, progress: Any) -> Iterable[Text]:
    """Yield the next commands."""
    if progress["state"] == "awaiting_approval":
        yield Text(f"Review and approve the plan:\n  cmkflow approve {remediation}")
    if progress["action_required_count"]:
        yield Text(f"When this is fixed:\n  cmkflow retry {remediation}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _step(job: Any) -> str:
    step = job.get("step", "")
    return "" if step == job["state"] else str(step)


def _notes(jobs: Iterable[Any]) -> Iterable[Text]:
    """Yield each note once, with the jobs that it is about."""
    about: dict[str, list[str]] = {}
    for job in jobs:
        for note in job.get("notes") or job.get("findings") or ():
            about.setdefault(note, []).append(_name(job))
    yield from (Text(f"Note: {note} [{first_names(names)}]") for note, names in about.items())


def _history(answer: Any) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for job in [*answer["environment_jobs"], *answer["flow_jobs"]]:
        for change in job["history"]:
            number = change["requests"]
            requests = f" ({number} request{'s' if number > 1 else ''})" if number else ""
            what = f"{change['state']}: {change['message']}{requests}"
            lines.append(Text(f"{change['changed_at']}  {_name(job)}  {what}"))
    return lines
