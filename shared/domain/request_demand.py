"""What one delivery needs of a service whose calls are scarce, and who goes first."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDemand:
    """The calls of one delivery, and its place among those that wait."""

    #: Whose they are: the id of a job.
    job_id: str
    #: As many as are expected; what was too many is given back, what is missing is waited for.
    calls: int
    #: Those of its later deliveries, which come before whoever goes after it.
    later_requests: int = 0
    #: The smaller goes first. Letters, digits and `-`.
    priority: str
    #: It may use what is kept for undo, swaps and the return of rights.
    is_urgent: bool = False
    #: The row that says what it waits for, and is due when it is to come: table, partition and key.
    row: tuple[str, str, str] = ("", "", "")

    @property
    def queue_position(self) -> str:
        """Return its place in the line: whose comes first goes first."""
        return f"{self.priority}-{self.job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """Somebody in the line who was told to come later than when there will be calls."""

    row: tuple[str, str, str]
    queue_position: str
    #: When there will be calls.
    requests_available_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQueueStatus:
    """Who waits for calls of a service, and how fast the line moves."""

    #: Where that is kept: table, partition and key.
    row: tuple[str, str, str]
    #: Jobs that were told to come again.
    waiting: int
    #: Calls that are allowed in a minute, as far as is known by now.
    requests_per_minute: int
    #: Calls of 24 hours that are left, but for those kept for undo; None: they are not counted.
    remaining_today: int | None = None
    #: When the next call may be made of those that wait; None: nobody waits.
    next_at: datetime | None = None
    #: When all that wait have had theirs; None: calls are plenty, and nobody stands in a line.
    empty_at: datetime | None = None
    #: Rows of budgets that could not be read, and were reset within a day.
    reset: tuple[tuple[str, str, str], ...] = ()
    #: Places in the line that could not be read, and were removed just now.
    removed: tuple[tuple[str, str, str], ...] = ()
