"""What people are told by a channel: one notification a cause, and how far each delivery is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.job import FlowJob
from shared.domain.plans.attention import Cause, Waiting
from shared.domain.plans.remediation import EnvironmentJob

#: What still waits is told again; what has come to hold up more flows or rows, sooner.
REPEATED_AFTER = timedelta(days=1)
GROWN_AFTER = timedelta(hours=1)
#: A plan is told of again so long before it lapses.
_LAPSES_SOON = timedelta(days=1)
#: For how long after its end an environment's work is told of: a channel may be out meanwhile.
_ENDED_LATELY = timedelta(days=7)
#: What comes by flows, one after the other, and is told together.
_BY_FLOWS = frozenset({Cause.FLOW, Cause.STRAGGLER})
#: Characters of a text that is told, and of a name: a message of Teams may have 28 KB in all.
_LONGEST_TEXT = 2_000
_LONGEST_NAME = 200
#: Longest wait before a channel that did not take a notification is tried again.
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing to tell; never holds a flow's URL."""

    #: The same however often one delivery is tried: receivers tell repetitions by it.
    id: str
    #: What it is about, the same as long as that lasts: receivers group by it.
    correlation: str
    waiting: Waiting
    at: datetime
    #: Page of the app that shows more; empty: the app does not know its own address.
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far one channel is with one cause; the row is forgotten with the cause."""

    cause: str
    channel: str
    first_seen: datetime
    #: When it is sent, tried or told again.
    due: datetime
    #: How often it was told, of how many flows or rows at last, and when; None while it is sent.
    told: int = 0
    told_of: int = 0
    told_at: datetime | None = None
    #: How often in a row the channel did not take it.
    failures: int = 0
    error: str = ""

    @property
    def notification_id(self) -> str:
        """Return the id of the notification that is due."""
        return f"{self.cause}-{self.first_seen:%Y%m%dT%H%M%S}-{self.told}"

    def is_due(self, cause: Waiting, now: datetime) -> bool:
        """Say whether it is to be sent now. That work has ended is told once.

        So are flows that need changes, until there are more of them.
        """
        if self.told and cause.cause is Cause.FINISHED:
            return False
        has_grown = not self.failures and cause.count > self.told_of
        is_grown = has_grown and self.told_at is not None and now - self.told_at >= GROWN_AFTER
        if cause.cause is Cause.NEEDS_CHANGES and self.told and self.told_at and not self.failures:
            return is_grown
        return is_grown or self.due <= now


def causes_to_tell(
    waiting: Iterable[Waiting],
    environment_jobs: Sequence[EnvironmentJob],
    stuck: Iterable[FlowJob],
    now: datetime,
) -> dict[str, Waiting]:
    """Return by its id each cause that people are told of."""
    blocked = Counter(job.environment_job_id for job in stuck)
    told = [replace(one, cause=Cause.LAPSING) if _lapses_soon(one, now) else one for one in waiting]
    told += [_ended(job, blocked[job.id]) for job in environment_jobs if _ended_lately(job, now)]
    return {one.id: one for one in told}


def first_delivery(cause: Waiting, channel: str, now: datetime, together: timedelta) -> Delivery:
    """Return the delivery of a cause that is seen for the first time.

    What comes within `together` of the first flow of a cause is told with it.
    """
    due = now + together if cause.cause in _BY_FLOWS else now
    return Delivery(cause=cause.id, channel=channel, first_seen=now, due=due)


def in_short(cause: Waiting) -> Waiting:
    """Return what is told of a cause; its page and the command line have the whole of it."""
    return replace(
        cause,
        flows=tuple(_cut(one, _LONGEST_NAME) for one in cause.flows),
        reason=_cut(cause.reason, _LONGEST_TEXT),
        instruction=_cut(cause.instruction, _LONGEST_TEXT),
    )


def taken(delivery: Delivery, cause: Waiting, now: datetime) -> Delivery:
    """Return a delivery that its channel has taken."""
    return replace(
        delivery,
        told=delivery.told + 1,
        told_of=cause.count,
        told_at=now,
        failures=0,
        error="",
        due=now + REPEATED_AFTER,
    )


def not_taken(delivery: Delivery, error: str, now: datetime, wait: timedelta) -> Delivery:
    """Return a delivery that its channel has not taken; it is tried again after `wait` or longer.

    `wait` doubles with each try, up to an hour.
    """
    due = now + min(wait * 2 ** min(delivery.failures, 20), _LONGEST_WAIT)
    return replace(delivery, failures=delivery.failures + 1, error=error, due=due)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _lapses_soon(one: Waiting, now: datetime) -> bool:
    is_near = one.lapses is not None and one.lapses - now <= _LAPSES_SOON
    return is_near and one.cause is Cause.PLAN


def _ended_lately(job: EnvironmentJob, now: datetime) -> bool:
    is_over = job.state in {EnvironmentJobState.FINISHED, EnvironmentJobState.CANCELLED}
    if not (is_over and job.mode.writes and job.history):
        return False
    return now - job.history[-1].at < _ENDED_LATELY and _had_work(job)


def _had_work(job: EnvironmentJob) -> bool:
    """Say whether anything was planned: an environment with nothing to do is no news."""
    return any((job.counts or {}).values())


def _ended(job: EnvironmentJob, blocked: int) -> Waiting:
    left = sum((job.left or {}).values()) + blocked
    return Waiting(
        cause=Cause.FINISHED,
        count=left,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        reason=job.reason,
        instruction="See why each flow stays on Microsoft's key." if left else "",
        command=f"cmkflow remediation show {job.remediation_id}",
    )
