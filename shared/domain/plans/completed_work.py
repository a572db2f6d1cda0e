"""Decide when a message reports that the work in an environment is complete, and what it says.

An environment job is complete as soon as no flow continues without a person. Flows may then be
blocked, and a retry continues them without changing the environment job. So a message about blocked
flows comes first, and the message that the work is complete comes when no flow is blocked or in
progress any longer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.display_text import describe_why_not_migrated, format_fixes
from shared.domain.plans.not_migrated import (
    count_planned_flows,
    find_reason_for_cancelled,
    find_reason_for_item,
    find_reason_for_job,
)
from shared.domain.plans.notification import ENDED_LATELY, NotificationDelivery
from shared.domain.plans.pending_actions import NAMED, PendingAction, PendingActionKind
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode

#: A flow with one of these reasons has its own message, or gets one.
_NOT_SETTLED = frozenset(
    {NotMigratedReason.BLOCKED, NotMigratedReason.FAILED, NotMigratedReason.IN_PROGRESS}
)


def find_failing_channels(sent: Iterable[NotificationDelivery], now: datetime) -> set[str]:
    """Return the channels that have rejected the same notification for a week."""
    return {
        one.channel for one in sent if one.failing_since and now - one.failing_since >= ENDED_LATELY
    }


def needs_completion_message(job: EnvironmentJob, is_owed: bool, now: datetime) -> bool:
    """Return whether to send, now or later, a message that an environment job is complete.

    `is_owed` means that a channel has not accepted the message and may still accept it.
    """
    # A message about the plan says everything if it had no flow to migrate.
    had_work = count_planned_flows(job) > 0
    if not (job.state_properties.is_over and job.mode.writes and job.history and had_work):
        return False
    return is_owed or now - job.history[-1].changed_at < ENDED_LATELY


@dataclass(frozen=True, slots=True)
class RemainingFlow:
    """A flow that a complete environment job has not migrated, with the reason."""

    reason: NotMigratedReason
    display_name: str
    workflow_id: str


def is_settled(not_migrated: Mapping[NotMigratedReason, int]) -> bool:
    """Return whether none of these flows is in progress, blocked or failed."""
    return not any(not_migrated.get(why) for why in _NOT_SETTLED)


def list_remaining_flows(
    job: EnvironmentJob, items: Iterable[PlanItem], flow_jobs: Iterable[FlowJob]
) -> list[RemainingFlow]:
    """Return the flows that a complete environment job has not migrated, sorted by reason and
    name.
    """
    found = {
        item.workflow_id: RemainingFlow(why, item.display_name, item.workflow_id)
        for item in items
        if (why := _find_not_migrated_reason(job, item))
    }
    for one in flow_jobs:
        if why := find_reason_for_job(one):
            found[one.original.id] = RemainingFlow(why, one.display_name, one.original.id)
    order = list(NotMigratedReason)
    return sorted(
        found.values(), key=lambda one: (order.index(one.reason), one.display_name.casefold())
    )


def _find_not_migrated_reason(job: EnvironmentJob, item: PlanItem) -> NotMigratedReason | None:
    if job.state is EnvironmentJobState.CANCELLED and job.mode.writes:
        never_started = item.action.is_work and not job.may_have_flow_jobs
        if never_started or item.awaits_approval:
            return find_reason_for_cancelled(job)
    return find_reason_for_item(job.mode, item)


def build_completed_action(
    job: EnvironmentJob,
    not_migrated: Mapping[NotMigratedReason, int],
    flows: Sequence[RemainingFlow] = (),
) -> PendingAction:
    """Return the message that the work in an environment is complete.

    `not_migrated` counts the flows that are left, and `flows` are those of them with a known name.
    """
    left = sum(not_migrated.values())
    is_prepared = job.mode is RemediationMode.PREPARE and job.state is EnvironmentJobState.COMPLETED
    lines = ", ".join(
        f"{number} {describe_why_not_migrated(why, number)[0]}"
        for why, number in not_migrated.items()
    )
    return PendingAction(
        kind=PendingActionKind.REMEDIATION_COMPLETED,
        count=left,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        flows=tuple(one.display_name for one in flows[:NAMED]),
        workflow_ids=tuple(one.workflow_id for one in flows[:NAMED]),
        message=f"Not migrated: {lines}." if left else job.message,
        fix=" ".join(f"{line[:1].upper()}{line[1:]}." for line in format_fixes(not_migrated)),
        next_command=f"cmkflow remediation show {job.remediation_id}",
        state="prepared" if is_prepared else str(job.state),
    )
