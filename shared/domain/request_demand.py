"""Define the requests to a service that invocations need, and the queue of waiting jobs."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDemand:
    """The number of requests to a service that an invocation needs, and its rank in the queue."""

    #: The id of the job that needs them.
    job_id: str
    #: The expected number; unused requests are released, and missing ones are waited for.
    requests: int
    #: Requests of its later invocations, which are served before jobs with a lower rank.
    later_requests: int = 0
    #: The smallest value is served first. Letters, digits and `-`.
    priority: str
    #: May use the part of the budget that is kept for rollbacks, cutovers and revoking grants.
    is_urgent: bool = False
    #: The row to wake when requests are available: table, partition and key.
    row: tuple[str, str, str] = ("", "", "")

    @property
    def queue_position(self) -> str:
        """Return the key by which the queue is sorted."""
        return f"{self.priority}-{self.job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A queued job to wake before its next check, because requests are available earlier."""

    row: tuple[str, str, str]
    queue_position: str
    #: When requests are available.
    requests_available_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQueueStatus:
    """The jobs that wait for requests to a service, and how fast they proceed."""

    #: The row of the queue: table, partition and key.
    row: tuple[str, str, str]
    #: Number of waiting jobs.
    waiting: int
    #: Requests allowed per minute, as currently known.
    requests_per_minute: int
    #: Requests left in 24 hours, without those kept for rollbacks; None: not counted.
    remaining_today: int | None = None
    #: When the next waiting request may be sent; None: no job waits.
    next_at: datetime | None = None
    #: When all waiting jobs are served; None: no job has to wait.
    empty_at: datetime | None = None
    #: Rows of the budget that could not be read and were reset in the last day.
    reset: tuple[tuple[str, str, str], ...] = ()
    #: Rows of the queue that could not be read and were just removed.
    removed: tuple[tuple[str, str, str], ...] = ()
