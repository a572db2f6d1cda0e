"""Decide when a message says that the work in an environment is complete, and what it says.

An environment job is complete as soon as no flow continues without a person, so flows may be
blocked, and a retry continues them without changing the environment job. The message about blocked
flows comes first; the one about the end, when no flow is blocked or in progress any more.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.display_text import LEFT_WORDS
from shared.domain.plans.notification import ENDED_LATELY, NotificationDelivery
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.plans.plan_item import NotMigratedReason, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode

#: A flow with one of these reasons has its own message, or gets one.
_NOT_SETTLED = frozenset(
    {NotMigratedReason.BLOCKED, NotMigratedReason.FAILED, NotMigratedReason.IN_PROGRESS}
)


def channels_out_for_long(sent: Iterable[NotificationDelivery], now: datetime) -> set[str]:
    """Return the channels that have accepted nothing of something for a week."""
    return {
        one.channel for one in sent if one.failing_since and now - one.failing_since >= ENDED_LATELY
    }


def has_message(job: EnvironmentJob, is_owed: bool, now: datetime) -> bool:
    """Return whether the end of an environment job is notified, now or later.

    `is_owed`: a channel has not accepted the message and may still accept it. However long flows
    are blocked, it is sent in the end.
    """
    is_over = job.state in {EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED}
    if not (is_over and job.mode.writes and job.history and _had_work(job)):
        return False
    return is_owed or now - job.history[-1].changed_at < ENDED_LATELY


def is_settled(not_migrated: Mapping[NotMigratedReason, int]) -> bool:
    """Return whether nothing of it is in progress, and no flow is blocked or failed."""
    return not any(not_migrated.get(why) for why in _NOT_SETTLED)


def completed_action(
    job: EnvironmentJob, not_migrated: Mapping[NotMigratedReason, int]
) -> PendingAction:
    """Return the message about the end; `not_migrated` counts the flows that are left."""
    left = sum(not_migrated.values())
    is_prepared = job.mode is RemediationMode.PREPARE and job.state is EnvironmentJobState.COMPLETED
    lines = ", ".join(f"{number} {LEFT_WORDS[why][0]}" for why, number in not_migrated.items())
    return PendingAction(
        kind=PendingActionKind.REMEDIATION_COMPLETED,
        count=left,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        message=f"Not migrated: {lines}." if left else job.message,
        fix="Read why each flow was not migrated." if left else "",
        next_command=f"cmkflow remediation show {job.remediation_id}",
        state="prepared" if is_prepared else str(job.state),
    )


def _had_work(job: EnvironmentJob) -> bool:
    """Return whether a flow was to be migrated; a plan without one says all in its own message."""
    counts = job.planned_action_counts or {}
    return any(counts.get(action, 0) for action in PlannedAction if action.is_work)
