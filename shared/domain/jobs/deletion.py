"""Define the scheduled, approved deletion of a retired original.

scheduled → archiving → deleting → deleted, or blocked, or cancelled

Until originals are deleted, the platform may count them as flows on Microsoft's key
(platform.md#stopped-originals), and the warning in the admin center remains.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.jobs.deletion_states import (
    DELETION_STATES,
    DeletionState,
    DeletionStateProperties,
)
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.state_machine import require_transition
from shared.domain.jobs.transitions import move_to_state
from shared.reason import Reason

#: How long a deleted flow can be restored (platform.md#recycle-bin).
RECYCLE_BIN = timedelta(days=21)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCheck:
    """How far the app has searched the runs of an original for one that is in progress.

    It searches the newest runs first.
    """

    since: datetime
    #: When it began: runs that started later are not part of it.
    began: datetime
    #: The oldest run that was read started then; None: none was read.
    oldest: datetime | None = None
    #: The platform's next page.
    cursor: str = ""
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Deletion(DurableJob[DeletionState]):
    """The row of the deletion of a retired original. It has the same id as the flow job."""

    states = DELETION_STATES
    blocked_state = DeletionState.BLOCKED
    failed_state = DeletionState.BLOCKED

    job_id: str
    remediation_id: str
    original_id: str
    flow_name: str
    display_name: str
    #: False: it was in no solution, and the flow service can restore it.
    in_solution: bool

    #: The earliest time of the deletion.
    delete_at: datetime
    approved_by: str
    approved_at: datetime
    #: The retirement that was approved; a later one needs a new approval.
    retired_at: datetime | None
    #: An edit of the original since it was copied does not block the deletion, because the approver
    #: knew it.
    accepts_original_edits: bool = False

    state: DeletionState = DeletionState.SCHEDULED
    resume_state: DeletionState | None = None
    #: The run archive has to cover all runs up to this time.
    archive_runs_from: datetime | None = None
    #: None: its runs were not searched.
    run_check: RunCheck | None = None
    #: When callers were last searched for this deletion.
    callers_searched_at: datetime | None = None
    #: Where the definition is archived, as it was when the original was deleted.
    archived_definition: str = ""
    #: When the app sent the delete request; None: the app did not delete it.
    deleted_at: datetime | None = None
    #: Whether the platform still lists it on Microsoft's key; None: not checked yet.
    is_on_microsoft_key_list: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def restorable_until(self) -> datetime | None:
        """Return the end of the 21 days in which the deleted original can be restored.

        Returns None if the app has not deleted it.
        """
        return self.deleted_at + RECYCLE_BIN if self.deleted_at else None

    @property
    def state_properties(self) -> DeletionStateProperties:
        return DELETION_STATES[self.state]

    @property
    def is_open(self) -> bool:
        """Return whether the deletion continues without a person."""
        return self.state_properties.is_active


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionApproval:
    """Who approved a deletion, when, and for which date."""

    #: The earliest time of the deletion (UTC).
    delete_at: datetime
    approved_by: str
    approved_at: datetime


def find_retired_at(job: FlowJob) -> datetime | None:
    """Return when the job was last retired, or None if it is not retired."""
    if job.state is not FlowJobState.RETIRED:
        return None
    moment = None
    for change in reversed(job.history):
        if change.state != FlowJobState.RETIRED:
            break
        moment = change.changed_at  # the oldest of the latest entries: notes follow it
    return moment


def find_earliest_delete_at(job: FlowJob, *, delay: timedelta, quiet: timedelta) -> datetime | None:
    """Return the earliest time for which the deletion of a job's original may be scheduled.

    This is `delay` after the retirement, but not before another no-call period has passed. Returns
    None if the job is not retired.
    """
    retired = find_retired_at(job)
    if retired is None:
        return None
    return retired + max(delay, job.observation.extend_period(quiet))


def build_new_deletion(
    job: FlowJob, approval: DeletionApproval, earlier: Deletion | None
) -> Deletion:
    """Return a new deletion of a retired job's original, which replaces `earlier` if there is one.

    If the earlier one was blocked by an edit of the original, the new approval accepts that edit.
    """
    if earlier:
        require_transition(DELETION_STATES, earlier.state, DeletionState.SCHEDULED)
    deletion = Deletion(
        environment_id=job.environment_id,
        job_id=job.id,
        remediation_id=job.remediation_id,
        original_id=job.original.id,
        flow_name=job.original.flow_name,
        display_name=job.display_name,
        in_solution=job.original.in_solution,
        delete_at=approval.delete_at,
        approved_by=approval.approved_by,
        approved_at=approval.approved_at,
        retired_at=find_retired_at(job),
        accepts_original_edits=earlier is not None
        and earlier.reason_code == Reason.ORIGINAL_EDITED,
        history=earlier.history if earlier else (),
        # An invocation that still holds the earlier row must not write this one.
        fencing_token=earlier.fencing_token + 1 if earlier else 0,
    )
    text = (
        f"Approved by {approval.approved_by}: not before {approval.delete_at:%Y-%m-%d %H:%M} UTC."
    )
    return _with_state(
        deletion, DeletionState.SCHEDULED, text, approval.approved_at, due=approval.delete_at
    )


def mark_archiving(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return the deletion in the state `archiving`. The run archive must cover runs up to `now`."""
    text = "The date has come. The app archives the run summaries."
    state = DeletionState.ARCHIVING
    return replace(_with_state(deletion, state, text, now, due=now), archive_runs_from=now)


def mark_deleting(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return the deletion in the state `deleting`, with the time of the delete request.

    A retry after a crash keeps the time of the first request.
    """
    changed = _with_state(deletion, DeletionState.DELETING, "All checks passed.", now, due=now)
    return replace(changed, deleted_at=deletion.deleted_at or now)


def mark_archiving_again(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return the deletion in the state `archiving`, because its original still exists.

    The time of the delete request stays: the platform may have accepted the request and show the
    deletion late.
    """
    text = "The original still exists. The app checks everything again."
    return _with_state(deletion, DeletionState.ARCHIVING, text, now, due=now)


def mark_deleted(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return the deletion in the state `deleted`.

    Its next check is whether the platform still lists the original.
    """
    text = "The original is deleted."
    if deletion.deleted_at is None:
        text = "The original was already deleted by somebody else."
    return _with_state(deletion, DeletionState.DELETED, text, now, due=now)


def with_rescheduling_fix(deletion: Deletion) -> Deletion:
    """Remove the time of the delete request from a blocked deletion, and change its fix.

    The fix asks a person to schedule the deletion again instead of to retry.
    """
    fix = deletion.fix.replace("then retry", "then schedule the deletion again")
    return replace(deletion, fix=fix, deleted_at=None)


def mark_cancelled(deletion: Deletion, text: str, *, now: datetime) -> Deletion:
    """Return the deletion in the state `cancelled`. The original is kept."""
    changed = _with_state(deletion, DeletionState.CANCELLED, text, now, due=None)
    return replace(changed, deleted_at=None)


def _with_state(
    deletion: Deletion, state: DeletionState, text: str, now: datetime, *, due: datetime | None
) -> Deletion:
    return replace(move_to_state(deletion, state, text, now=now), next_check_at=due, message=text)


def describe_consequences(job: FlowJob) -> tuple[str, ...]:
    """Return what deleting the job's original causes, as sentences for the approver."""
    url = "Its trigger URL stops working permanently: calls are rejected."
    restore = "The app can restore it for 21 days. After that, no rollback is possible."
    if job.original.in_solution:
        restore = (
            "Only a person may be able to restore it, within 21 days. After that, no rollback is "
            "possible."
        )
    return (
        *([url] if job.original.has_trigger_url else []),
        (
            "Its run history is lost. Summaries of the runs that the platform still shows are "
            "archived first."
        ),
        "It is deleted only when none of its runs is in progress.",
        restore,
    )
