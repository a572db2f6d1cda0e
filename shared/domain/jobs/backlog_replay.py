"""What a rollback makes happen twice: a polling original that comes back replays its backlog.

The platform then hands it everything that has been pending since it was stopped, although its copy
handled that (platform.md#missed-events).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogReplay:
    """One original that would replay its backlog."""

    workflow_id: str
    display_name: str
    #: When it was stopped.
    since: datetime

    def text(self, now: datetime) -> str:
        """Say since when, and how long that is, in whole hours from the second on."""
        hours = (now - self.since).total_seconds() / 3600
        length = f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"
        return f"{self.display_name} (since {self.since:%Y-%m-%d %H:%M} UTC, {length})"


def find_replay(job: FlowJob) -> BacklogReplay | None:
    """Return what turning the job's original on again would replay; None: nothing."""
    stopped = job.original_sent
    if job.has_original_back or not job.original_was_on:
        return None
    if stopped is None or stopped.state is not FlowState.OFF:
        return None
    if not TriggerCategory(job.category).replays_backlog:
        return None
    return BacklogReplay(
        workflow_id=job.original_id, display_name=job.display_name, since=stopped.first
    )


def find_replays(jobs: Iterable[FlowJob]) -> tuple[BacklogReplay, ...]:
    """Return what rolling these jobs back would replay."""
    return tuple(replay for job in jobs if (replay := find_replay(job)))


def describe_replays(replays: Iterable[BacklogReplay], now: datetime) -> str:
    """Say which flows would replay what."""
    names = ", ".join(replay.text(now) for replay in replays)
    return (
        "Turned on again, these originals process everything pending since they were stopped,"
        f" although their copies handled it: {names}."
    )
