"""Count the steps of a flow's migration that are done, and shorten texts for one line."""

from collections.abc import Mapping
from typing import NamedTuple

from functions.dashboard.flow_state_words import describe_flow_state
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod

_NAMES: Mapping[MigrationMethod, tuple[str, ...]] = {
    MigrationMethod.UPDATE_CALLERS: (
        "Copied", "Verified", "Callers updated", "No calls", "Retired",
    ),
    MigrationMethod.CUT_OVER: ("Copied", "Verified", "Cut over", "Monitored", "Retired"),
    MigrationMethod.COPY_OFF: ("Copied", "Verified", "Callers listed", "No calls", "Retired"),
}  # fmt: skip


class FlowSteps(NamedTuple):
    """The names of the steps of a flow's migration, and how many are done."""

    names: tuple[str, ...]
    #: Number of steps that are done.
    done: int
    #: The job stopped before the next step and requires an action.
    is_stopped: bool

    @property
    def label(self) -> str:
        """Return the progress as text, such as `2 of 5 steps done, next: Callers updated`."""
        if self.done == len(self.names):
            return f"All {self.done} steps done"
        before = "stopped before" if self.is_stopped else "next"
        return f"{self.done} of {len(self.names)} steps done, {before}: {self.names[self.done]}"


def build_steps(job: FlowJob | None, *, is_stopped: bool) -> FlowSteps | None:
    """Return the steps of a job, or None if it has no copy, is not started or is rolled back.

    `is_stopped` is True if the job requires an action.
    """
    if job is None or job.migration_method not in _NAMES:
        return None
    done = describe_flow_state(job.step).done
    return None if done is None else FlowSteps(_NAMES[job.migration_method], done, is_stopped)


def shorten_text(text: str, most: int = 12) -> str:
    """Return a text in at most `most` words: all of it, its first sentence or first words."""
    words = text.split()
    if len(words) <= most:
        return text
    first = text.partition(". ")[0]
    if len(first.split()) <= most:
        return f"{first}."
    return " ".join(words[:most]).rstrip(".,;:") + "…"
