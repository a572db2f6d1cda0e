"""Record when a timer last completed, and at which flow the next daily check begins."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerRun:
    """The row of the last completed run of a timer."""

    timer: str
    completed_at: datetime


class DailyCheckTarget(StrEnum):
    """What the daily check searches for in an environment."""

    RETIRED = "retired"  #: retired originals that are on again
    WITHDRAWN = "withdrawn"  #: copies of cancelled and rolled-back jobs that are on
    #: Retired originals without a row in Dataverse, which only the flow service's list shows.
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPosition:
    """The result of the last daily check for one target in one environment."""

    environment_id: str
    check: DailyCheckTarget
    #: Id of the job whose flow the next check reads first; empty: the first job.
    next_job_id: str = ""
    #: Where the next check continues in the flow service's list; empty: at the first page.
    cursor: str = ""
    #: How many flows the last check did not read.
    not_checked_count: int = 0
    #: The `Reason` for that; empty: every flow was read.
    reason_code: str = ""


def rotate_job_ids(job_ids: Iterable[str], first: str) -> list[str]:
    """Return the sorted ids, beginning at `first`. The ids before it come last."""
    ordered = sorted(job_ids)
    return [one for one in ordered if one >= first] + [one for one in ordered if one < first]
