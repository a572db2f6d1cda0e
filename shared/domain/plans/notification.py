"""What a channel sends to people: one notification per cause, and the state of each delivery.

A channel that has accepted nothing since a delivery failed may be out of order: each run tries it.
Once it has accepted something, what it still rejects has a back-off of its own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.plans.remediation import EnvironmentJob

#: What still waits is told again; what has come to hold up more flows or rows, sooner.
REPEATED_AFTER = timedelta(days=1)
GROWN_AFTER = timedelta(hours=1)
#: A plan is told of again so long before it lapses.
_LAPSES_SOON = timedelta(days=1)
#: For how long after its end an environment's work is told of: a channel may be out meanwhile.
ENDED_LATELY = timedelta(days=7)
#: What comes by flows, one after the other, and is told together.
_BY_FLOWS = frozenset({PendingActionKind.FLOWS_BLOCKED, PendingActionKind.LATE_CALLER})
#: Characters of a text that is told, and of a name: a message of Teams may have 28 KB in all.
_LONGEST_TEXT = 2_000
_LONGEST_NAME = 200
#: Longest wait before a notification that was rejected is sent again.
_LONGEST_WAIT = timedelta(hours=1)
#: Notifications that one channel gets in one run. There are fewer kinds of causes.
MOST_IN_A_RUN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing to tell; never holds a flow's URL."""

    #: The same however often one delivery is tried: receivers tell repetitions by it.
    id: str
    #: What it is about, the same as long as that lasts: receivers group by it.
    correlation_id: str
    pending_action: PendingAction
    created_at: datetime
    #: Page of the app that shows more; empty: the app does not know its own address.
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationDelivery:
    """How far one channel is with one cause; the row is forgotten with the cause."""

    pending_action_id: str
    channel: str
    first_seen_at: datetime
    #: When it is sent, tried or told again.
    next_attempt_at: datetime
    #: How often it was told, of how many flows or rows at last, and when.
    sent_count: int = 0
    reported_count: int = 0
    last_sent_at: datetime | None = None
    #: How often in a row the channel did not take it.
    consecutive_failures: int = 0
    error: str = ""
    #: When the first of these failures was; None: it did not fail.
    failing_since: datetime | None = None
    #: A run is sending it until then; None: none is.
    claimed_until: datetime | None = None
    #: The channel asked that nothing be sent to it until then; None: it did not ask.
    paused_until: datetime | None = None

    @property
    def notification_id(self) -> str:
        """Return the id of the notification that is due."""
        return f"{self.pending_action_id}-{self.first_seen_at:%Y%m%dT%H%M%S}-{self.sent_count}"

    def is_due(self, cause: PendingAction, now: datetime) -> bool:
        """Say whether it is to be sent now. That work has ended is told once.

        So are flows that need changes, until there are more of them.
        """
        if self.sent_count and cause.cause is PendingActionKind.REMEDIATION_COMPLETED:
            return False
        has_grown = not self.consecutive_failures and cause.count > self.reported_count
        is_grown = (
            has_grown and self.last_sent_at is not None and now - self.last_sent_at >= GROWN_AFTER
        )
        if (
            cause.cause is PendingActionKind.NEEDS_CHANGES
            and self.sent_count
            and self.last_sent_at
            and not self.consecutive_failures
        ):
            return is_grown
        return is_grown or self.next_attempt_at <= now

    def failed_after(self, accepted: datetime | None) -> bool:
        """Say whether it fails, and its channel has accepted nothing since; `accepted`: when."""
        if self.failing_since is None:
            return False
        return accepted is None or accepted < self.failing_since

    def is_claimed(self, now: datetime) -> bool:
        """Say whether a run is sending it."""
        return self.claimed_until is not None and self.claimed_until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSend:
    """What one channel is due to get, by the id of the cause, the most urgent first."""

    due: tuple[str, ...]
    #: What it rejected, and gets again once it has accepted something.
    rejected: tuple[str, ...]


def to_send(
    causes: Mapping[str, PendingAction],
    deliveries: Mapping[str, NotificationDelivery],
    now: datetime,
) -> ToSend:
    """Return what one channel is due to get; `deliveries` are those of the channel, by cause."""
    if any(one.paused_until and one.paused_until > now for one in deliveries.values()):
        return ToSend(due=(), rejected=())
    accepted = max(
        (one.last_sent_at for one in deliveries.values() if one.last_sent_at), default=None
    )
    due, rejected = [], []
    for identity, cause in causes.items():
        delivery = deliveries.get(identity)
        if delivery is None or delivery.is_claimed(now):
            continue
        if delivery.is_due(cause, now) or delivery.failed_after(accepted):
            due.append(identity)
        elif delivery.consecutive_failures:
            rejected.append(identity)
    return ToSend(due=tuple(due), rejected=tuple(rejected))


def in_one_run(
    causes: Sequence[PendingAction], most: int
) -> tuple[list[PendingAction], list[PendingAction]]:
    """Return which of these causes are sent one by one, and which together as a digest.

    `most` notifications in all. One of each kind of cause is sent by itself, so that whoever looks
    for a kind finds it.
    """
    if len(causes) <= most:
        return list(causes), []
    firsts = {one.cause: one for one in reversed(causes)}
    kept = {one.id for one in firsts.values()}
    others = [one.id for one in causes if one.id not in kept]
    kept |= set(others[: max(most - 1 - len(kept), 0)])
    return [one for one in causes if one.id in kept], [one for one in causes if one.id not in kept]


def digest_of(causes: Sequence[PendingAction]) -> PendingAction:
    """Return the cause that stands for all of these."""
    kinds = Counter(str(one.cause) for one in causes)
    named = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
    return PendingAction(
        cause=PendingActionKind.DIGEST,
        count=len(causes),
        reason=f"By cause: {named}.",
        instruction="The list shows each of them, with what to do.",
        command="cmkflow status",
    )


def actions_to_notify(
    waiting: Iterable[PendingAction],
    environment_jobs: Sequence[EnvironmentJob],
    stuck: Iterable[FlowJob],
    now: datetime,
) -> dict[str, PendingAction]:
    """Return by its id each cause that people are told of."""
    blocked = Counter(job.environment_job_id for job in stuck)
    told = [
        replace(one, cause=PendingActionKind.PLAN_EXPIRES_SOON) if _lapses_soon(one, now) else one
        for one in waiting
    ]
    told += [_ended(job, blocked[job.id]) for job in environment_jobs if _ended_lately(job, now)]
    return {one.id: one for one in told}


def first_delivery(
    cause: PendingAction, channel: str, now: datetime, together: timedelta
) -> NotificationDelivery:
    """Return the delivery of a cause that is seen for the first time.

    What comes within `together` of the first flow of a cause is told with it.
    """
    due = now + together if cause.cause in _BY_FLOWS else now
    return NotificationDelivery(
        pending_action_id=cause.id, channel=channel, first_seen_at=now, next_attempt_at=due
    )


def shorten(cause: PendingAction) -> PendingAction:
    """Return what is told of a cause; its page and the command line have the whole of it."""
    return replace(
        cause,
        flows=tuple(_cut(one, _LONGEST_NAME) for one in cause.flows),
        reason=_cut(cause.reason, _LONGEST_TEXT),
        instruction=_cut(cause.instruction, _LONGEST_TEXT),
    )


def claimed(delivery: NotificationDelivery, until: datetime) -> NotificationDelivery:
    """Return a delivery that a run sends now; another run may send it from `until` on."""
    return replace(delivery, next_attempt_at=until, claimed_until=until)


def record_accepted(
    delivery: NotificationDelivery, cause: PendingAction, now: datetime
) -> NotificationDelivery:
    """Return a delivery that its channel has accepted."""
    return replace(
        delivery,
        sent_count=delivery.sent_count + 1,
        reported_count=cause.count,
        last_sent_at=now,
        consecutive_failures=0,
        error="",
        failing_since=None,
        claimed_until=None,
        paused_until=None,
        next_attempt_at=now + REPEATED_AFTER,
    )


def record_rejected(
    delivery: NotificationDelivery,
    error: str,
    now: datetime,
    wait: timedelta,
    asked: timedelta | None = None,
) -> NotificationDelivery:
    """Return a delivery that its channel has not accepted.

    It is sent again after `wait`, which doubles with each try, up to an hour. `asked`: for so long
    the channel wants nothing at all, up to an hour too.
    """
    due = now + min(wait * 2 ** min(delivery.consecutive_failures, 20), _LONGEST_WAIT)
    return replace(
        delivery,
        consecutive_failures=delivery.consecutive_failures + 1,
        error=error,
        failing_since=delivery.failing_since or now,
        claimed_until=None,
        paused_until=now + min(asked, _LONGEST_WAIT) if asked else None,
        next_attempt_at=due,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _lapses_soon(one: PendingAction, now: datetime) -> bool:
    is_near = one.expires_at is not None and one.expires_at - now <= _LAPSES_SOON
    return is_near and one.cause is PendingActionKind.PLAN_AWAITING_APPROVAL


def _ended_lately(job: EnvironmentJob, now: datetime) -> bool:
    is_over = job.state in {EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED}
    if not (is_over and job.mode.writes and job.history):
        return False
    return now - job.history[-1].at < ENDED_LATELY and _had_work(job)


def _had_work(job: EnvironmentJob) -> bool:
    """Say whether anything was planned: an environment with nothing to do is no news."""
    return any((job.counts or {}).values())


def _ended(job: EnvironmentJob, blocked: int) -> PendingAction:
    left = sum((job.left or {}).values()) + blocked
    return PendingAction(
        cause=PendingActionKind.REMEDIATION_COMPLETED,
        count=left,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        reason=job.reason,
        instruction="See why each flow stays on Microsoft's key." if left else "",
        command=f"cmkflow remediation show {job.remediation_id}",
    )
