"""Format run archives, support windows and deletions of a remediation."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cmkflow.paragraphs import format_number
from shared.domain.jobs.run_archive import RunArchiveState

_ARCHIVED = {RunArchiveState.COMPLETED, RunArchiveState.TRUNCATED}


def format_support_window(window: Any) -> str:
    """Return until when Microsoft's support can restore an environment's earlier run history."""
    name = window["environment_name"] or window["environment_id"]
    if window["closes_at"] is None:
        return (
            f"{name}: the end of the platform migration is unknown. Support can restore run "
            "history for 30 days after it."
        )
    day = window["closes_at"][:10]
    return (
        f"{name}: support can restore run history from before the key until {day}, 30 days after "
        "the app saw the platform migration complete."
    )


def format_archive_and_deletion_lines(answer: Any) -> Iterable[RenderableType]:
    """Yield the numbers of archives and deletions, and the support windows. Yields nothing while no
    original is retired.
    """
    if not any(job["state"] == "retired" for job in answer["flow_jobs"]):
        return
    archived = sum(one["state"] in _ARCHIVED for one in answer["run_archives"])
    definitions = sum(bool(job["archive_name"]) for job in answer["flow_jobs"])
    yield Text(
        f"Archived: {format_number(definitions, 'definition')}, "
        f"run summaries of {format_number(archived, 'original')} "
        f"(details: cmkflow deletion list {answer['remediation']['id']})."
    )
    yield from (Text(format_support_window(one)) for one in answer["support_windows"])
    counts = Counter(one["state"] for one in answer["deletions"])
    deletes = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    none = "none scheduled; the admin center's warning may remain until originals are deleted"
    yield Text(f"Deletions of originals: {deletes or none}.")
