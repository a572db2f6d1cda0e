"""How far the run summaries of one original are archived.

A copy begins with an empty run history, and the platform keeps an original's runs for 28 days: who
needs them later has to keep them elsewhere (platform.md#earlier-runs, #run-retention).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.flow import FlowRun

#: Runs of one flow that are kept at most, the newest ones.
MOST_RUNS = 10_000
#: How long the platform shows runs.
RETENTION = timedelta(days=28)
#: How long after the migration Microsoft's support can still get the older history
#: (platform.md#earlier-runs).
TICKET_WINDOW = timedelta(days=30)


class RunArchiveState(StrEnum):
    """How far it is."""

    OPEN = "open"  #: older runs may be left
    COMPLETE = "complete"
    CAPPED = "capped"  #: there are more runs than are kept
    GONE = "gone"  #: the original was deleted before all of it was archived


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArchive:
    """The row of one original's archive; it stands beside the flow job of the same id."""

    environment_id: str
    job_id: str
    remediation_id: str
    flow_name: str
    display_name: str
    #: Runs that began later are none of this archive's.
    began: datetime
    state: RunArchiveState = RunArchiveState.OPEN
    runs: int = 0
    #: Where each part stands: JSON Lines, the newest run first.
    parts: tuple[str, ...] = ()
    #: Start of the oldest run that is kept, and the runs that began at that very moment: together
    #: they are where the next part goes on.
    oldest: datetime | None = None
    oldest_ids: tuple[str, ...] = ()
    #: The platform's next page; empty: the next part is looked for by `oldest`.
    cursor: str = ""
    #: Earlier runs are in parts of an earlier archive of this flow; None: this is the first.
    since: datetime | None = None
    #: Runs of those earlier parts.
    earlier_runs: int = 0

    @property
    def begins(self) -> datetime:
        """Return the start of the time that this archive covers."""
        return self.since or self.began - RETENTION

    @property
    def own_runs(self) -> int:
        """Return the runs in parts of its own."""
        return self.runs - self.earlier_runs

    @property
    def share(self) -> float:
        """Return how much of the time that the platform remembers is covered, from 0 to 1."""
        if self.state is not RunArchiveState.OPEN:
            return 1.0
        if self.oldest is None:
            return 0.0
        return min((self.began - self.oldest) / (self.began - self.begins), 1.0)


def part_name(archive: RunArchive, number: int) -> str:
    """Return the name under which a part is archived; the first has number 1."""
    return f"runs/{archive.environment_id}/{archive.job_id}/{number:04}.jsonl"


def with_part(archive: RunArchive, where: str, runs: list[FlowRun]) -> RunArchive:
    """Return the archive with a part of `runs` (not empty, newest first) that stands at `where`."""
    oldest = runs[-1].started
    ids = {run.run_id for run in runs if run.started == oldest}
    if archive.oldest == oldest:
        ids |= set(archive.oldest_ids)
    return replace(
        archive,
        runs=archive.runs + len(runs),
        parts=(*archive.parts, where),
        oldest=oldest,
        oldest_ids=tuple(sorted(ids)),
    )


def continued(archive: RunArchive, *, now: datetime) -> RunArchive:
    """Return a finished archive open again, for the runs that began after it."""
    return replace(
        archive,
        state=RunArchiveState.OPEN,
        began=now,
        since=archive.began + timedelta(microseconds=1),
        earlier_runs=archive.runs,
        oldest=None,
        oldest_ids=(),
        cursor="",
    )


def to_json_lines(runs: Iterable[FlowRun]) -> bytes:
    """Return a part's content: of each run its id, its times (UTC) and its status, a line each."""
    return b"".join(
        json.dumps(
            {
                "run": run.run_id,
                "started": run.started.isoformat(),
                "ended": run.ended.isoformat() if run.ended else None,
                "status": run.status,
            }
        ).encode()
        + b"\n"
        for run in runs
    )


def from_json_lines(part: bytes) -> list[FlowRun]:
    """Return the runs of a part, without the ids of their trigger URLs, which are not kept."""
    return [
        FlowRun(
            run_id=line["run"],
            started=datetime.fromisoformat(line["started"]),
            ended=datetime.fromisoformat(line["ended"]) if line["ended"] else None,
            status=line["status"],
            trigger_url_id=None,
        )
        for line in map(json.loads, part.splitlines())
    ]
