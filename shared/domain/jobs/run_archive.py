"""Record which run summaries of an original are archived.

A copy starts with an empty run history, and the platform keeps an original's runs for 28 days only
(platform.md#earlier-runs, #run-retention).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.flow import FlowRun

#: Most runs of one flow that are archived, the newest ones.
MOST_RUNS = 10_000
#: How long the platform shows runs.
RETENTION = timedelta(days=28)
#: How long after the migration Microsoft's support can restore older run history
#: (platform.md#earlier-runs).
TICKET_WINDOW = timedelta(days=30)


class RunArchiveState(StrEnum):
    """The state of a run archive."""

    IN_PROGRESS = "in_progress"  #: older runs may be missing
    COMPLETED = "completed"
    TRUNCATED = "truncated"  #: there are more runs than are archived
    ORIGINAL_DELETED = "original_deleted"  #: the original was deleted before all runs were archived


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArchive:
    """The row of the run archive of one original. It has the same id as the flow job."""

    environment_id: str
    job_id: str
    remediation_id: str
    flow_name: str
    display_name: str
    #: Runs that started later do not belong to this archive.
    started_at: datetime
    state: RunArchiveState = RunArchiveState.IN_PROGRESS
    runs: int = 0
    #: Where each part is stored: JSON Lines, the newest run first.
    parts: tuple[str, ...] = ()
    #: Start of the oldest archived run, and the runs that started at the same time. The next part
    #: continues from there.
    oldest_run_at: datetime | None = None
    oldest_run_ids: tuple[str, ...] = ()
    #: The platform's cursor for the next page; empty: the next part is searched by `oldest_run_at`.
    cursor: str = ""
    #: Start of the time that this archive covers, after an earlier archive of this flow; None: this
    #: is the first.
    runs_since: datetime | None = None
    #: Runs in the earlier archive's parts.
    earlier_run_count: int = 0

    @property
    def begins_at(self) -> datetime:
        """Return the start of the time that this archive covers."""
        return self.runs_since or self.started_at - RETENTION

    @property
    def own_run_count(self) -> int:
        """Return the number of runs in this archive's parts, without those of an earlier
        archive.
        """
        return self.runs - self.earlier_run_count

    @property
    def fraction_complete(self) -> float:
        """Return how much of the covered time is archived, from 0 to 1."""
        if self.state is not RunArchiveState.IN_PROGRESS:
            return 1.0
        if self.oldest_run_at is None:
            return 0.0
        return min((self.started_at - self.oldest_run_at) / (self.started_at - self.begins_at), 1.0)


def format_part_name(archive: RunArchive, number: int) -> str:
    """Return the name of a part of a run archive. The first part has number 1."""
    return f"runs/{archive.environment_id}/{archive.job_id}/{number:04}.jsonl"


def with_part(archive: RunArchive, where: str, runs: list[FlowRun]) -> RunArchive:
    """Return the run archive with one more part, which is stored at `where`.

    `runs` has at least one run, the newest first.
    """
    oldest = runs[-1].started_at
    ids = {run.run_id for run in runs if run.started_at == oldest}
    if archive.oldest_run_at == oldest:
        ids |= set(archive.oldest_run_ids)
    return replace(
        archive,
        runs=archive.runs + len(runs),
        parts=(*archive.parts, where),
        oldest_run_at=oldest,
        oldest_run_ids=tuple(sorted(ids)),
    )


def reopen_archive(archive: RunArchive, *, now: datetime) -> RunArchive:
    """Return the archive, again in progress, for runs that started after it was started."""
    return replace(
        archive,
        state=RunArchiveState.IN_PROGRESS,
        started_at=now,
        runs_since=archive.started_at + timedelta(microseconds=1),
        earlier_run_count=archive.runs,
        oldest_run_at=None,
        oldest_run_ids=(),
        cursor="",
    )


def format_runs_as_json_lines(runs: Iterable[FlowRun]) -> bytes:
    """Return the content of a part: a line for each run, with its id, times (UTC) and status."""
    return b"".join(
        json.dumps(
            {
                "run": run.run_id,
                "started": run.started_at.isoformat(),
                "ended": run.ended_at.isoformat() if run.ended_at else None,
                "status": run.status,
            }
        ).encode()
        + b"\n"
        for run in runs
    )


def parse_runs_from_json_lines(part: bytes) -> list[FlowRun]:
    """Return the runs in a part. They have no trigger URL ids, which are not stored."""
    return [
        FlowRun(
            run_id=line["run"],
            started_at=datetime.fromisoformat(line["started"]),
            ended_at=datetime.fromisoformat(line["ended"]) if line["ended"] else None,
            status=line["status"],
            trigger_url_id=None,
        )
        for line in map(json.loads, part.splitlines())
    ]
