"""Find originals that would process events twice after a rollback.

When a polling original is turned on again, the platform gives it every event since it was turned
off, although its copy has processed them (platform.md#missed-events).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogReplay:
    """A warning that an original would process events that its copy has already processed."""

    workflow_id: str
    display_name: str
    #: When it was turned off.
    off_since: datetime

    def format_message(self, now: datetime) -> str:
        """Return the flow's name, since when it is off, and for how many hours or minutes."""
        hours = (now - self.off_since).total_seconds() / 3600
        length = f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"
        return f"{self.display_name} (since {self.off_since:%Y-%m-%d %H:%M} UTC, {length})"


def find_replay(job: FlowJob) -> BacklogReplay | None:
    """Return the replay that turning on the job's original would cause, or None."""
    stopped = job.original.last_write
    if job.has_original_restored or not job.original.was_on:
        return None
    if stopped is None or stopped.state is not FlowState.OFF:
        return None
    if not TriggerCategory(job.original.category).replays_backlog:
        return None
    return BacklogReplay(
        workflow_id=job.original.id, display_name=job.display_name, off_since=stopped.first_sent_at
    )


def find_replays(jobs: Iterable[FlowJob]) -> tuple[BacklogReplay, ...]:
    """Return the replays that a rollback of these jobs would cause."""
    return tuple(replay for job in jobs if (replay := find_replay(job)))


def describe_replays(replays: Iterable[BacklogReplay], now: datetime) -> str:
    """Return a sentence that names these flows and warns of the replay."""
    names = ", ".join(replay.format_message(now) for replay in replays)
    return (
        "When these originals are turned on again, they process all events since they were "
        f"turned off, although their copies have processed them: {names}."
    )
