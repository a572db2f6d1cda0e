"""Format one remediation: what is done, what a person has to do, and what is in progress."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.flow_owners import format_flow_owner
from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import (
    Command,
    Headline,
    Paragraph,
    format_argument,
    format_names,
    format_number,
    shorten_resource_ids,
)
from cmkflow.remediation_tables import format_both_off_warning, format_unreadable_rows
from cmkflow.run_archive_tables import format_archive_and_deletion_lines
from cmkflow.timestamps import format_time_left_or_date
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.plans.display_text import (
    describe_start,
    format_not_migrated,
    format_remediation_state,
)
from shared.reason import Reason

#: Most flows of one reason that the short text shows.
_NAMED = 5
#: Most lines of a fix in the short text.
_LINES = 2


def format_remediation(answer: Any, *, is_full: bool = False) -> RenderableType:
    """Return the summary, the actions required and the history of a remediation.

    With `is_full`, also return every job, reason and note.
    """
    parts: list[RenderableType] = [
        *_format_summary(answer),
        *_format_required_actions(answer, is_full=is_full),
    ]
    every = sorted([*answer["environment_jobs"], *answer["flow_jobs"]], key=_build_sort_key)
    if is_full:
        parts += [Text(), _format_jobs(every, answer["remediation"]["mode"], is_full=True)]
        parts += _format_notes(every)
    ends: list[RenderableType] = [
        *format_archive_and_deletion_lines(answer),
        *format_unreadable_rows(answer),
        *_format_history(answer),
    ]
    if ends:
        parts.append(Text())
    return Group(*parts, *ends)


def format_remediation_progress(answer: Any) -> RenderableType:
    """Return the actions required, and every job that has not succeeded, for `cmkflow watch`."""
    jobs = [*answer["environment_jobs"], *answer["flow_jobs"]]
    shown = sorted((job for job in jobs if not _has_succeeded(job)), key=_build_sort_key)
    jobs_table = _format_jobs(shown, answer["remediation"]["mode"])
    table: list[RenderableType] = [Text(), jobs_table] if shown else []
    return Group(*_format_summary(answer), *_format_required_actions(answer, is_full=False), *table)


def format_watched_lines(answer: Any) -> dict[str, str]:
    """Return a line for the remediation and for each of its jobs. The key is the remediation's id,
    or a job's id and name.
    """
    remediation, progress = answer["remediation"], answer["progress"]
    lines = {
        remediation["id"]: format_remediation_state(progress["state"], progress["not_migrated"])
    }
    for job in [*answer["environment_jobs"], *answer["flow_jobs"]]:
        state = f"{job['state']} ({job['reason_code']})" if job["reason_code"] else job["state"]
        lines[f"{_format_id(job)} {_format_name(job)}"] = (
            f"{state}: {_format_job_message(job, remediation['mode'])}"
        )
    return lines


def _format_summary(answer: Any) -> Iterator[RenderableType]:
    remediation, progress = answer["remediation"], answer["progress"]
    names = [_format_name(job) for job in answer["environment_jobs"]]
    mode = remediation["mode"].replace("_", " ").capitalize()
    left = f"{format_names(names, 2) or 'Remediation'} · #{remediation['id'][:8]} · {mode}"
    state = format_remediation_state(progress["state"], progress["not_migrated"]).replace("_", " ")
    is_done = progress["state"] == "completed" and not progress["not_migrated"]
    style = "green" if is_done else "bold red" if progress["state"] == "blocked" else "yellow"
    yield Headline(left=left, right=state[0].upper() + state[1:], style=style)
    by = describe_start(remediation["start_source"], remediation["started_by"])
    yield Text(f"Started by {by}, {remediation['created_at'][:16].replace('T', ' ')} UTC")
    if text := format_both_off_warning(progress["both_off_count"], "fix these first"):
        yield Text(text, style="bold red")
    counts = [f"{number} {state}" for state, number in progress["flow_states"].items()]
    if counts:
        yield Text(f"Flows: {' · '.join(counts)}".replace("_", " "))
    yield from (Paragraph(text=one) for one in format_not_migrated(progress["not_migrated"]))
    if progress["next_check_at"]:
        yield Text(f"Next check {format_time_left_or_date(progress['next_check_at'])}")


def _format_required_actions(answer: Any, *, is_full: bool) -> Iterator[RenderableType]:
    identity, progress = answer["remediation"]["id"], answer["progress"]
    if progress["state"] == "awaiting_approval":
        expires = format_time_left_or_date(progress["approval_expires_at"])
        yield Text(f"\nPlan awaits approval; it expires {expires}", style="bold yellow")
        yield Command(label="Then", command=f"cmkflow approve {identity}")
    groups: dict[tuple[str, str], list[Any]] = {}
    jobs = sorted([*answer["environment_jobs"], *answer["flow_jobs"]], key=_format_name)
    for job in jobs:
        if job["fix"]:
            groups.setdefault((job["state"], job["reason_code"]), []).append(job)
    environments = {job["environment_id"]: job for job in answer["environment_jobs"]}
    for (state, code), alike in sorted(groups.items(), key=lambda one: -len(one[1])):
        title = f"{state}: {code}" if code else state
        yield Text(f"\n{title[0].upper()}{title[1:]} ({len(alike)})", style="bold red")
        yield from _format_reasons_and_fixes(alike, is_full=is_full)
        if code == Reason.FIREWALL_DENIES:
            environment = environments[alike[0]["environment_id"]]
            name = format_argument(_format_name(environment), environment["environment_id"])
            yield Command(label="Fix", command=f"cmkflow network fix --environment {name}")
        yield Command(
            label="Then", command=f"cmkflow retry {identity}" + f" --code {code}" * bool(code)
        )
    if needed := answer["needs_changes"]:
        yield Text(f"\nNeeds changes first ({len(needed)})", style="bold yellow")
        yield from _format_reasons_and_fixes(needed, is_full=is_full)
        yield Command(label="See", command=f"cmkflow plan show {identity} --needs-changes")


def _format_reasons_and_fixes(items: Sequence[Any], *, is_full: bool) -> Iterator[RenderableType]:
    alike: dict[tuple[str, str], list[str]] = {}
    for item in items:
        alike.setdefault((item["message"], item["fix"]), []).append(_format_name(item))
    shown = list(alike.items()) if is_full else list(alike.items())[:_NAMED]
    for (message, fix), names in shown:
        if is_full:
            yield Paragraph(text=", ".join(names))
            yield Paragraph(label="Why", text=message, indent=4)
            yield Paragraph(label="Fix", text=fix, indent=4)
        else:
            text = shorten_resource_ids(message)
            if not all(name in message for name in names):
                text = f"{format_names(names, _NAMED)}: {text}"
            yield Paragraph(text=text, max_lines=_LINES)
    fixes = {fix for _, fix in alike}
    if len(fixes) == 1 and not is_full:
        yield Paragraph(label="Fix", text=next(iter(fixes)), max_lines=_LINES)
    if more := len(alike) - len(shown):
        yield Paragraph(text=f"{format_number(more, 'more reason')}: --full")


def _format_jobs(jobs: Sequence[Any], mode: str, *, is_full: bool = False) -> Listing:
    return Listing(
        columns=(*_COLUMNS, _OWNER) if is_full else _COLUMNS,
        items=jobs,
        note=lambda job: _format_job_message(job, mode),
        is_full=is_full,
    )


def _build_sort_key(job: Any) -> tuple[bool, bool, bool]:
    return not job["fix"], "original_id" in job, _has_succeeded(job)


def _has_succeeded(job: Any) -> bool:
    facts = FLOW_STATES.get(job["state"])
    return "original_id" in job and bool(facts and facts.is_success)


def _format_name(job: Any) -> str:
    return str(job.get("display_name") or job["environment_name"] or job["environment_id"])


def _format_id(job: Any) -> str:
    return str(job.get("original_id") or job["environment_id"])


def _format_job_message(job: Any, asked: str) -> str:
    if job.get("mode", asked) != asked:
        return f"only mode {job['mode']}, because the environment's settings allow no more"
    return shorten_resource_ids(str(job["message"]))


def _format_step(job: Any) -> str:
    step = job.get("step", "")
    return "" if step == job["state"] else str(step)


def _format_notes(jobs: Iterable[Any]) -> Iterable[RenderableType]:
    about: dict[str, list[str]] = {}
    for job in jobs:
        for note in job.get("notes") or job.get("findings") or ():
            about.setdefault(note, []).append(_format_name(job))
    for note, names in about.items():
        yield Paragraph(text=f"Note: {note} [{format_names(names, _NAMED)}]", indent=0)


def _format_history(answer: Any) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for job in [*answer["environment_jobs"], *answer["flow_jobs"]]:
        for change in job["history"]:
            number = change["requests"]
            requests = f" ({format_number(number, 'request')})" if number else ""
            what = f"{change['state']}: {change['message']}{requests}"
            lines.append(Text(f"{change['changed_at']}  {_format_name(job)}  {what}"))
    return lines


_OWNER = Column("Owner", lambda job: format_flow_owner(job) if "original_id" in job else "")
_COLUMNS = (
    Column("Environment / flow", _format_name),
    Column("Id", _format_id, Kind.ID),
    Column("State", lambda job: job["state"], Kind.WORD),
    Column("Step", _format_step, Kind.WORD),
    Column("Next", lambda job: format_time_left_or_date(job["next_check_at"]), Kind.WORD),
)
