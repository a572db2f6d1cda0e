"""What the answers say about the end of a remediation: archives, support's window, deletes."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text


def window_text(window: Any) -> str:
    """Return until when Microsoft's support can get the runs from before the key."""
    name = window["environment_name"] or window["environment_id"]
    if window["closes"] is None:
        return f"{name}: unknown when the migration ended; support can help for 30 days from there."
    day = window["closes"][:10]
    return f"{name}: runs from before the key: support ticket until {day} (30 days)."


def finish_lines(answer: Any) -> Iterable[RenderableType]:
    """Yield what is archived and deleted of a remediation whose originals retire, a line each."""
    if not any(job["state"] == "retired" for job in answer["jobs"]):
        return
    archived = sum(one["state"] in {"complete", "capped"} for one in answer["run_archives"])
    definitions = sum(bool(job["archive"]) for job in answer["jobs"])
    yield Text(
        f"Archived: {number_of(definitions, 'definition')}, "
        f"run summaries of {number_of(archived, 'original')} (cmkflow deletion list says where)."
    )
    yield from (Text(window_text(one)) for one in answer["support_windows"])
    counts = Counter(one["state"] for one in answer["deletions"])
    deletes = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    none = "none ordered; the admin center's warning may stay until then"
    yield Text(f"Deletes of originals: {deletes or none}.")


def number_of(number: int, noun: str) -> str:
    """Return such as `1 flow` or `2 flows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
