"""Decide which pending actions a channel sends as notifications, and when it repeats them.

A channel that has accepted nothing since a failed delivery may be down, so each run tries it once.
After it has accepted something, each rejected notification has a separate back-off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.leases import Lease
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind

#: A pending action is notified again after a day; if it affects more flows or rows, after an hour.
REPEATED_AFTER = timedelta(days=1)
GROWN_AFTER = timedelta(hours=1)
#: Pending actions that are notified again, as another kind, this long before they expire.
_EXPIRES_SOON: Mapping[PendingActionKind, tuple[PendingActionKind, timedelta]] = {
    PendingActionKind.PLAN_AWAITING_APPROVAL: (
        PendingActionKind.PLAN_EXPIRES_SOON,
        timedelta(days=1),
    ),
    PendingActionKind.SUPPORT_REQUEST: (
        PendingActionKind.SUPPORT_WINDOW_CLOSES,
        timedelta(days=7),
    ),
}
#: Pending actions that are notified once.
_ONCE = frozenset(
    {
        PendingActionKind.REMEDIATION_COMPLETED,
        PendingActionKind.FAILED_RUNS,
        PendingActionKind.SUPPORT_REQUEST,
        PendingActionKind.SUPPORT_WINDOW_CLOSES,
    }
)
#: How long the app tries to report a completed environment job: a channel may be down for days.
ENDED_LATELY = timedelta(days=7)
#: Pending actions that arise flow by flow and are combined.
_BY_FLOWS = frozenset(
    {
        PendingActionKind.FLOWS_BLOCKED,
        PendingActionKind.LATE_CALLER,
        PendingActionKind.CALLER_UNCONFIRMED,
    }
)
#: Pending actions of jobs that continue only after a retry.
_RETRIED = frozenset({PendingActionKind.FLOWS_BLOCKED, PendingActionKind.ENVIRONMENT_BLOCKED})
#: Longest delay before a rejected notification is sent again.
_LONGEST_WAIT = timedelta(hours=1)
#: Most notifications to one channel in one run. There are fewer kinds of pending actions.
MOST_IN_A_RUN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification about a pending action. It never contains a trigger URL."""

    #: Stays the same for each attempt, so that receivers can detect duplicates.
    id: str
    #: Stays the same as long as the action is pending, so that receivers can group by it.
    correlation_id: str
    pending_action: PendingAction
    created_at: datetime
    #: URL of the page with details; empty: the app does not know its own URL.
    link: str
    #: What a button with this URL says.
    link_title: str
    #: URLs of the pages of the flows that it names, in their order; empty as `link`.
    flow_links: tuple[str, ...] = ()
    #: E-mail addresses of its environment's settings; empty: it is not about one environment, too.
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationDelivery:
    """The row that records when one pending action is sent to one channel.

    It is removed when the action is no longer pending.
    """

    pending_action_id: str
    channel: str
    first_seen_at: datetime
    #: When it is sent, or sent again.
    next_attempt_at: datetime
    #: How often it was sent; how many flows or rows the last one was about; and when that was.
    sent_count: int = 0
    reported_count: int = 0
    last_sent_at: datetime | None = None
    #: How often in a row the channel did not accept it.
    consecutive_failures: int = 0
    error: str = ""
    #: When the first of these failures was; None: none.
    failing_since: datetime | None = None
    #: Until when a run is sending it; None: none is.
    claimed_until: datetime | None = None
    #: Until when the channel asked to get nothing; None: it did not ask.
    paused_until: datetime | None = None

    @property
    def notification_id(self) -> str:
        """Return the id of the notification to send next. It is the same for each attempt."""
        return f"{self.pending_action_id}-{self.first_seen_at:%Y%m%dT%H%M%S}-{self.sent_count}"

    def is_outdated(self, cause: PendingAction) -> bool:
        """Return whether, since it was sent, every flow of the action was retried and blocked
        again.
        """
        return (
            cause.kind in _RETRIED
            and self.last_sent_at is not None
            and cause.pending_since is not None
            and cause.pending_since > self.last_sent_at
        )

    def is_due(self, cause: PendingAction, now: datetime) -> bool:
        """Return whether the notification has to be sent now.

        An accepted notification about completed work, failed runs or a support request is not sent
        again. One about flows that need changes is sent again only when there are more of these
        flows.
        """
        if self.sent_count and cause.kind in _ONCE:
            return False
        has_grown = (
            cause.kind is not PendingActionKind.LATE_CALLER
            and not self.consecutive_failures
            and cause.count > self.reported_count
        )
        is_grown = (
            has_grown and self.last_sent_at is not None and now - self.last_sent_at >= GROWN_AFTER
        )
        if (
            cause.kind is PendingActionKind.NEEDS_CHANGES
            and self.sent_count
            and self.last_sent_at
            and not self.consecutive_failures
        ):
            return is_grown
        return is_grown or self.next_attempt_at <= now

    def has_failed_after(self, accepted: datetime | None) -> bool:
        """Return whether the delivery failed and its channel has accepted nothing since then.

        `accepted` is when the channel last accepted a notification, or None if it never did.
        """
        if self.failing_since is None:
            return False
        return accepted is None or accepted < self.failing_since

    @property
    def lease(self) -> Lease[str]:
        """Return the lease of the run that is sending the notification."""
        return Lease(holder="", until=self.claimed_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsToSend:
    """The ids of pending actions to send to one channel, the most urgent first."""

    due: tuple[str, ...]
    #: Rejected ones, to be sent again once the channel has accepted another.
    rejected: tuple[str, ...]


def choose_actions_to_send(
    causes: Mapping[str, PendingAction],
    deliveries: Mapping[str, NotificationDelivery],
    now: datetime,
) -> ActionsToSend:
    """Return which pending actions to send to one channel now.

    `deliveries` contains the channel's notification deliveries by the id of the pending action.
    """
    if any(one.paused_until and one.paused_until > now for one in deliveries.values()):
        return ActionsToSend(due=(), rejected=())
    accepted = max(
        (one.last_sent_at for one in deliveries.values() if one.last_sent_at), default=None
    )
    due, rejected = [], []
    for identity, cause in causes.items():
        delivery = deliveries.get(identity)
        if delivery is None or delivery.lease.is_held(now):
            continue
        if delivery.is_due(cause, now) or delivery.has_failed_after(accepted):
            due.append(identity)
        elif delivery.consecutive_failures:
            rejected.append(identity)
    return ActionsToSend(due=tuple(due), rejected=tuple(rejected))


def split_into_single_and_digest(
    causes: Sequence[PendingAction], most: int
) -> tuple[list[PendingAction], list[PendingAction]]:
    """Return which pending actions to send one by one, and which together as a digest.

    If there are at most `most` actions, none is in the digest. The first action of each kind is
    sent alone, so that no kind is missed.
    """
    if len(causes) <= most:
        return list(causes), []
    firsts = {one.kind: one for one in reversed(causes)}
    kept = {one.id for one in firsts.values()}
    others = [one.id for one in causes if one.id not in kept]
    kept |= set(others[: max(most - 1 - len(kept), 0)])
    return [one for one in causes if one.id in kept], [one for one in causes if one.id not in kept]


def list_actions_to_notify(
    waiting: Iterable[PendingAction], completed: Iterable[PendingAction], now: datetime
) -> dict[str, PendingAction]:
    """Return the actions to send as notifications, by id. `completed` report completed work."""
    actions = [_with_urgency(one, now) for one in waiting]
    return {one.id: one for one in (*actions, *completed)}


def build_first_delivery(
    cause: PendingAction, channel: str, now: datetime, together: timedelta
) -> NotificationDelivery:
    """Return the delivery of a new pending action to a channel.

    An action that arises flow by flow waits for `together`, so that flows that are added meanwhile
    are sent with the first.
    """
    due = now + together if cause.kind in _BY_FLOWS else now
    return NotificationDelivery(
        pending_action_id=cause.id, channel=channel, first_seen_at=now, next_attempt_at=due
    )


def mark_delivery_claimed(delivery: NotificationDelivery, until: datetime) -> NotificationDelivery:
    """Return a delivery that a run is sending now. From `until` on, another run may send it."""
    return replace(delivery, next_attempt_at=until, claimed_until=until)


def mark_delivery_accepted(
    delivery: NotificationDelivery, cause: PendingAction, now: datetime
) -> NotificationDelivery:
    """Return the delivery after its channel accepted the notification."""
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


def mark_delivery_rejected(
    delivery: NotificationDelivery,
    error: str,
    now: datetime,
    wait: timedelta,
    asked: timedelta | None = None,
) -> NotificationDelivery:
    """Return the delivery after its channel did not accept the notification.

    It is sent again after `wait`, doubled for each earlier failure, up to an hour. `asked` is how
    much time the channel wants without notifications, also up to an hour.
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


def _with_urgency(one: PendingAction, now: datetime) -> PendingAction:
    if one.expires_at is None or one.kind not in _EXPIRES_SOON:
        return one
    kind, left = _EXPIRES_SOON[one.kind]
    return replace(one, kind=kind) if one.expires_at - now <= left else one
