"""Define the states of a flow job, their transitions and their properties.

* Called: planned → copying → copied → verified → updating_callers → checking_for_calls → retired
* Self-starting: planned → copying → copied → verified → cutting_over → monitoring → retired
* Off: planned → copying → copied → verified → checking_for_calls → retired
* Without a copy: planned → preparing → prepared (added to a solution, or edited)
* Any open state: → waiting, blocked or failed; a started job: → rolling_back → rolled_back
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class FlowJobState(StrEnum):
    """The state of a flow job."""

    PLANNED = "planned"
    PREPARING = "preparing"
    PREPARED = "prepared"
    COPYING = "copying"
    COPIED = "copied"
    VERIFIED = "verified"
    UPDATING_CALLERS = "updating_callers"
    CHECKING_FOR_CALLS = "checking_for_calls"
    CUTTING_OVER = "cutting_over"
    MONITORING = "monitoring"
    RETIRED = "retired"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


class ExpectedFlowState(StrEnum):
    """Whether the original, or the copy, should be on or off in a state of the job."""

    NONE = "none"  #: the flow does not exist
    UNCHANGED = "unchanged"  #: on if the original was on when its job started
    OFF = "off"
    UNDETERMINED = "undetermined"  #: it is being changed, or it depends on the migration method


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStateProperties(TransitionProperties[FlowJobState]):
    """The properties of a flow job's state. A paused job has those of its `FlowJob.step`."""

    #: Where the job continues if an edit of the original is accepted; None: where it is.
    resume_state_after_edit: FlowJobState | None
    original: ExpectedFlowState
    copy: ExpectedFlowState
    #: The copy is complete: created, in its solutions, shared, and on or off as the original was.
    has_complete_copy: bool
    #: The copy is verified, so parents may be written to run it.
    is_verified: bool
    #: The flow is being or was migrated: neither cancelled nor rolled back.
    is_proceeding: bool
    #: The job has started changes, so that cancelling it means rolling it back.
    can_roll_back: bool
    #: A job that ends here does not prevent another one for the same flow.
    allows_new_job: bool
    #: A pilot flow has to get here before the other flows start.
    is_past_cutover: bool
    #: Its callers are not updated yet.
    precedes_callers: bool
    #: An invocation that has reached this state continues, so that what it has read, such as
    #: trigger URLs, is reused. Flows are prepared in batches, and a rollback waits for other jobs.
    continues_invocation: bool
    #: For its children, its original is off or a caller like any other.
    releases_children: bool

    @property
    def is_copy_off(self) -> bool:
        """Return whether the copy calls no flow, because it is off or does not exist."""
        return self.copy in {ExpectedFlowState.NONE, ExpectedFlowState.OFF}

    def leads_to(self, after: FlowJobState) -> bool:
        return after in self.next or (self.can_roll_back and after is FlowJobState.ROLLING_BACK)


def _build_pause_properties(acts: NextActor) -> FlowStateProperties:
    return FlowStateProperties(
        next=(),
        next_actor=acts,
        resumes_later=True,
        is_success=False,
        resume_state_after_edit=None,
        original=ExpectedFlowState.UNDETERMINED,
        copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=False,
        is_verified=False,
        is_proceeding=True,
        can_roll_back=False,
        allows_new_job=False,
        is_past_cutover=False,
        precedes_callers=False,
        continues_invocation=False,
        releases_children=False,
    )


# fmt: off
FLOW_STATES: Mapping[FlowJobState, FlowStateProperties] = {
    FlowJobState.PLANNED: FlowStateProperties(
        next=(FlowJobState.COPYING, FlowJobState.PREPARING, FlowJobState.CANCELLED),
        resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        has_complete_copy=False, is_verified=False,
        is_proceeding=True, can_roll_back=False, allows_new_job=True,
        precedes_callers=True, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.PREPARING: FlowStateProperties(
        next=(FlowJobState.PREPARED, FlowJobState.PLANNED),
        resume_state_after_edit=FlowJobState.PLANNED,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        has_complete_copy=False, is_verified=False,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.PREPARED: FlowStateProperties(
        next=(), resume_state_after_edit=None,
        next_actor=NextActor.NONE, resumes_later=False, is_success=True,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        has_complete_copy=False, is_verified=False,
        is_proceeding=True, can_roll_back=True, allows_new_job=True,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=True, releases_children=False,
    ),
    FlowJobState.COPYING: FlowStateProperties(
        next=(FlowJobState.COPIED,), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=False, is_verified=False,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=True, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.COPIED: FlowStateProperties(
        next=(FlowJobState.VERIFIED,), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=True, is_verified=False,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=True, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.VERIFIED: FlowStateProperties(
        next=(FlowJobState.UPDATING_CALLERS, FlowJobState.CUTTING_OVER,
            FlowJobState.CHECKING_FOR_CALLS, FlowJobState.COPYING),
        resume_state_after_edit=FlowJobState.COPYING,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=True, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.UPDATING_CALLERS: FlowStateProperties(
        next=(FlowJobState.CHECKING_FOR_CALLS,), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNCHANGED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.CHECKING_FOR_CALLS: FlowStateProperties(
        next=(FlowJobState.RETIRED, FlowJobState.UPDATING_CALLERS, FlowJobState.COPYING),
        resume_state_after_edit=FlowJobState.COPYING,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNCHANGED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=True,
        is_past_cutover=True, releases_children=False,
    ),
    FlowJobState.CUTTING_OVER: FlowStateProperties(
        next=(FlowJobState.MONITORING, FlowJobState.VERIFIED), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNDETERMINED, copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=True,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.MONITORING: FlowStateProperties(
        next=(FlowJobState.RETIRED,), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.OFF, copy=ExpectedFlowState.UNCHANGED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=True,
        is_past_cutover=True, releases_children=False,
    ),
    FlowJobState.RETIRED: FlowStateProperties(
        next=(), resume_state_after_edit=None,
        next_actor=NextActor.NONE, resumes_later=False, is_success=True,
        original=ExpectedFlowState.OFF, copy=ExpectedFlowState.UNCHANGED,
        has_complete_copy=True, is_verified=True,
        is_proceeding=True, can_roll_back=True, allows_new_job=False,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=True, releases_children=True,
    ),
    FlowJobState.WAITING: _build_pause_properties(NextActor.APP),
    FlowJobState.BLOCKED: _build_pause_properties(NextActor.PERSON),
    FlowJobState.FAILED: _build_pause_properties(NextActor.PERSON),
    FlowJobState.ROLLING_BACK: FlowStateProperties(
        # To retired: the original was deleted and can no longer be restored.
        next=(FlowJobState.ROLLED_BACK, FlowJobState.RETIRED), resume_state_after_edit=None,
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNDETERMINED, copy=ExpectedFlowState.UNDETERMINED,
        has_complete_copy=False, is_verified=False,
        is_proceeding=False, can_roll_back=False, allows_new_job=False,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=False, releases_children=False,
    ),
    FlowJobState.ROLLED_BACK: FlowStateProperties(
        next=(), resume_state_after_edit=None,
        next_actor=NextActor.NONE, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.OFF,
        has_complete_copy=False, is_verified=False,
        is_proceeding=False, can_roll_back=False, allows_new_job=True,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=False, releases_children=True,
    ),
    FlowJobState.CANCELLED: FlowStateProperties(
        next=(), resume_state_after_edit=None,
        next_actor=NextActor.NONE, resumes_later=False, is_success=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        has_complete_copy=False, is_verified=False,
        is_proceeding=False, can_roll_back=False, allows_new_job=True,
        precedes_callers=False, continues_invocation=False,
        is_past_cutover=False, releases_children=True,
    ),
}
# fmt: on
