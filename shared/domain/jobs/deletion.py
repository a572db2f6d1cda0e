"""The dated, approved delete of a retired original: the row, its states, and what it ends.

scheduled → archiving → deleting → deleted, or blocked, or cancelled

While originals are stopped but not deleted, the platform may still count them among the flows on
Microsoft's key (platform.md#stopped-originals), and the warning in the admin center stays.
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
from shared.domain.jobs.state_machine import check_transition
from shared.domain.jobs.transitions import move_to_state
from shared.reason import Reason

#: How long a deleted flow can be restored (platform.md#recycle-bin).
RECYCLE_BIN = timedelta(days=21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion(DurableJob[DeletionState]):
    """The row of one deletion; it stands beside the flow job of the same id."""

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

    #: Not before this moment.
    on: datetime
    approved_by: str
    approved_at: datetime
    #: The retirement that the approval is about: a later one needs another approval.
    retired_at: datetime | None
    #: An edit made since the original was copied is no obstacle: it was approved in spite of it.
    accepts_edits: bool = False

    state: DeletionState = DeletionState.SCHEDULED
    resume: DeletionState | None = None
    #: Run summaries have to reach up to this moment.
    archive_from: datetime | None = None
    #: When callers were last searched for this deletion.
    searched: datetime | None = None
    #: Where its definition stands, as it was when it was deleted.
    definition: str = ""
    #: When the call was made; None: not by the app.
    deleted_at: datetime | None = None
    #: Whether the platform still lists it on Microsoft's key; None: not asked since.
    is_listed: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def restorable_until(self) -> datetime | None:
        """Return the end of the 21 days; None: the app has not deleted it."""
        return self.deleted_at + RECYCLE_BIN if self.deleted_at else None

    @property
    def facts(self) -> DeletionStateProperties:
        """Return what is true in its state."""
        return DELETION_STATES[self.state]

    @property
    def is_open(self) -> bool:
        """Say whether it goes on by itself."""
        return self.facts.is_open


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionApproval:
    """Who approves a delete, when, and for which moment."""

    #: Not before this moment (UTC).
    on: datetime
    by: str
    at: datetime


def retired_at(job: FlowJob) -> datetime | None:
    """Return when the job was retired for the last time; None: it is not retired."""
    if job.state is not FlowJobState.RETIRED:
        return None
    moment = None
    for change in reversed(job.history):
        if change.state != FlowJobState.RETIRED:
            break
        moment = change.at  # the first of the last lines: notes stand after it
    return moment


def earliest_delete_at(job: FlowJob, *, delay: timedelta, quiet: timedelta) -> datetime | None:
    """Return the first moment for which a delete may be ordered; None: not retired.

    That is `delay` after the retirement, and never before another quiet period has passed.
    """
    retired = retired_at(job)
    if retired is None:
        return None
    return retired + max(delay, quiet, job.quiet_for or timedelta(0))


def new_deletion(job: FlowJob, approval: DeletionApproval, earlier: Deletion | None) -> Deletion:
    """Return a new deletion of a retired job's original; `earlier`: the row that it replaces.

    Approved once more after an edit had blocked it, it accepts that edit.
    """
    if earlier:
        check_transition(DELETION_STATES, earlier.state, DeletionState.SCHEDULED)
    deletion = Deletion(
        environment_id=job.environment_id,
        job_id=job.id,
        remediation_id=job.remediation_id,
        original_id=job.original_id,
        flow_name=job.flow_name,
        display_name=job.display_name,
        in_solution=job.in_solution,
        on=approval.on,
        approved_by=approval.by,
        approved_at=approval.at,
        retired_at=retired_at(job),
        accepts_edits=earlier is not None and earlier.code == Reason.CHANGED,
        history=earlier.history if earlier else (),
        # Whoever works on the earlier one may not write this one.
        lease_number=earlier.lease_number + 1 if earlier else 0,
    )
    text = f"Approved by {approval.by}: not before {approval.on:%Y-%m-%d %H:%M} UTC."
    return _changed(deletion, DeletionState.SCHEDULED, text, approval.at, due=approval.on)


def start_archiving(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return it at work: its date has come, or it has to be archived up to now again."""
    text = "Its date has come: run summaries are archived."
    state = DeletionState.ARCHIVING
    return replace(_changed(deletion, state, text, now, due=now), archive_from=now)


def record_delete_intent(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return it with the intent to delete; a retry after a crash keeps the first moment."""
    changed = _changed(deletion, DeletionState.DELETING, "Everything fits.", now, due=now)
    return replace(changed, deleted_at=deletion.deleted_at or now)


def return_to_checks(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return it back at the checks: the intent was noted, but the original is still there.

    The moment of the intent stays: the platform may have taken the call and lag behind.
    """
    text = "The original is still there: everything is checked again."
    return _changed(deletion, DeletionState.ARCHIVING, text, now, due=now)


def mark_deleted(deletion: Deletion, *, now: datetime) -> Deletion:
    """Return it deleted; the platform's list is asked next."""
    text = "The original is deleted."
    if deletion.deleted_at is None:
        text = "The original was gone already: somebody else has deleted it."
    return _changed(deletion, DeletionState.DELETED, text, now, due=now)


def mark_blocked(deletion: Deletion) -> Deletion:
    """Return one that stopped as a delete does: it is ordered anew, and nothing is deleted."""
    instruction = deletion.instruction.replace("then retry", "then order the delete anew")
    return replace(deletion, instruction=instruction, deleted_at=None)


def mark_cancelled(deletion: Deletion, text: str, *, now: datetime) -> Deletion:
    """Return it cancelled: the original is kept."""
    changed = _changed(deletion, DeletionState.CANCELLED, text, now, due=None)
    return replace(changed, deleted_at=None)


def _changed(
    deletion: Deletion, state: DeletionState, text: str, now: datetime, *, due: datetime | None
) -> Deletion:
    """Say where it stands in its reason as well."""
    return replace(move_to_state(deletion, state, text, now=now), due=due, reason=text)


def describe_consequences(job: FlowJob) -> tuple[str, ...]:
    """Return what a delete of this job's original ends, a sentence each, for who approves it."""
    url = "Its trigger URL stops for good: calls are refused as those of a deleted flow."
    undo = "The app can restore it for 21 days; then a rollback is over for good."
    if job.in_solution:
        undo = "Only a person can restore it, if at all (21 days): then a rollback is over."
    return (
        *([url] if job.has_trigger_url else []),
        "Its run history: what the platform still shows is archived first, as summaries.",
        "A run that still goes would be ended: it is deleted only when none does.",
        undo,
    )
