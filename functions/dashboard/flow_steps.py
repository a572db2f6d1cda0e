"""Describe each state of a flow job in words, and count the steps of its migration that are done.

The type checker finds a state without words.
"""

from collections.abc import Mapping
from typing import NamedTuple

from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState


class FlowStateWords(NamedTuple):
    """What the dashboard says about a flow job in a state."""

    #: What the job does in this state, as a progress text.
    doing: str
    #: What a job that stopped in this state did not do.
    not_done: str
    #: Name of its work as a step; empty: the job does no work in this state.
    step: str = ""
    #: Where a job pauses in this step: "before verification". Empty: "while", with its name.
    paused: str = ""
    #: How many of the five steps of a migration with a copy are done; None: it is not one of them.
    done: int | None = None


def describe_flow_state(state: FlowJobState) -> FlowStateWords:  # noqa: C901 -- one line for each state
    """Return the words for a state. For a paused job, `state` should be the step at which it
    paused.
    """
    match state:
        case FlowJobState.PLANNED:
            return FlowStateWords("Not started yet", "Not started", "Start", "before its copy", 0)
        case FlowJobState.PREPARING:
            return FlowStateWords("Preparing", "Not prepared", "Prepare")
        case FlowJobState.PREPARED:
            return FlowStateWords("Prepared", "Prepared")
        case FlowJobState.COPYING:
            return FlowStateWords("Copying", "Not copied", "Copy", done=0)
        case FlowJobState.COPIED:
            return FlowStateWords("Verifying", "Not verified", "Verify", "before verification", 1)
        case FlowJobState.VERIFIED:
            step = "Begin to replace the original"
            return FlowStateWords("Verified", "Verified", step, "after verification", 2)
        case FlowJobState.UPDATING_CALLERS:
            not_done = "Callers not updated"
            return FlowStateWords("Updating callers", not_done, "Update callers", done=2)
        case FlowJobState.CHECKING_FOR_CALLS:
            return FlowStateWords("Checking for calls", "Not retired", "Check for calls", done=3)
        case FlowJobState.CUTTING_OVER:
            return FlowStateWords("Cutting over", "Not cut over", "Cut over", done=2)
        case FlowJobState.MONITORING:
            return FlowStateWords("Monitoring", "Not retired", "Monitor the copy", done=3)
        case FlowJobState.RETIRED:
            return FlowStateWords("Retired", "Retired", done=5)
        case FlowJobState.ROLLING_BACK:
            return FlowStateWords("Rolling back", "Not rolled back", "Roll back")
        case FlowJobState.ROLLED_BACK:
            return FlowStateWords("Rolled back", "Rolled back")
        case FlowJobState.CANCELLED:
            return FlowStateWords("Cancelled", "Cancelled")
        case FlowJobState.WAITING:
            return FlowStateWords("Waiting", "Waiting")
        case FlowJobState.BLOCKED:
            return FlowStateWords("Blocked", "Blocked")
        case FlowJobState.FAILED:
            return FlowStateWords("Failed", "Failed")


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


def build_flow_steps(job: FlowJob | None, *, is_stopped: bool) -> FlowSteps | None:
    """Return the steps of a job, or None if its state is not a step of a migration with a copy.
    `is_stopped` says that the job requires an action.
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
