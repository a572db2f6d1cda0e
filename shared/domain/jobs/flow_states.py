"""Define the states of a flow job, their transitions and their properties.

Called: planned → copying → copied → proven → updating_callers → quiet → retired
Self-starting: planned → copying → copied → proven → swapping → watched → retired
Off: planned → copying → copied → proven → quiet → retired
Without a copy: planned → preparing → prepared (added to a solution, or edited)
Any open state: → waiting, blocked or failed; a started job → rolling_back → rolled_back
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class FlowJobState(StrEnum):
    """How far a flow job is, in the order of the work."""

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
    """The state that the original or the copy should have in a state of the job."""

    NONE = "none"  #: the flow does not exist
    UNCHANGED = "unchanged"  #: on if the original was on when its job started
    OFF = "off"
    UNDETERMINED = "undetermined"  #: it is being changed, or it depends on the migration method


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStateProperties(TransitionProperties[FlowJobState]):
    """The properties of a flow job's state. For a paused job, use those of `FlowJob.reached`."""

    #: Where the job continues if an edit of the original is accepted; None: where it is.
    after_edit: FlowJobState | None
    original: ExpectedFlowState
    copy: ExpectedFlowState
    #: The copy is verified, so parents may be written to run it.
    is_proven: bool
    #: The flow is being or was migrated: neither cancelled nor rolled back.
    is_live: bool
    #: The job has started changes, so that cancelling it means rolling it back.
    is_undoable: bool
    #: A job that ends here does not prevent another one for the same flow.
    leaves_nothing: bool
    #: A pilot flow has to get here before the other flows start.
    is_past_cut_over: bool
    #: For its children, its original is off or a caller like any other.
    is_settled: bool

    @property
    def is_copy_off(self) -> bool:
        """Return whether the copy calls no flow: it is off or does not exist."""
        return self.copy in {ExpectedFlowState.NONE, ExpectedFlowState.OFF}

    def leads_to(self, after: FlowJobState) -> bool:
        """Return whether the job may move to `after`."""
        return after in self.next or (self.is_undoable and after is FlowJobState.ROLLING_BACK)


def _to(*states: FlowJobState) -> frozenset[FlowJobState]:
    return frozenset(states)


def _pause(acts: NextActor) -> FlowStateProperties:
    return FlowStateProperties(
        next=_to(),
        acts=acts,
        is_pause=True,
        is_goal=False,
        after_edit=None,
        original=ExpectedFlowState.UNDETERMINED,
        copy=ExpectedFlowState.UNDETERMINED,
        is_proven=False,
        is_live=True,
        is_undoable=False,
        leaves_nothing=False,
        is_past_cut_over=False,
        is_settled=False,
    )


# fmt: off
FLOW_STATES: Mapping[FlowJobState, FlowStateProperties] = {
    FlowJobState.PLANNED: FlowStateProperties(
        next=_to(FlowJobState.COPYING, FlowJobState.PREPARING, FlowJobState.CANCELLED),
        after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        is_proven=False, is_live=True, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.PREPARING: FlowStateProperties(
        next=_to(FlowJobState.PREPARED, FlowJobState.PLANNED), after_edit=FlowJobState.PLANNED,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.PREPARED: FlowStateProperties(
        next=_to(), after_edit=None,
        acts=NextActor.NONE, is_pause=False, is_goal=True,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=True,
        is_past_cut_over=True, is_settled=False,
    ),
    FlowJobState.COPYING: FlowStateProperties(
        next=_to(FlowJobState.COPIED), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.COPIED: FlowStateProperties(
        next=_to(FlowJobState.VERIFIED), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.VERIFIED: FlowStateProperties(
        next=_to(FlowJobState.UPDATING_CALLERS, FlowJobState.CUTTING_OVER,
            FlowJobState.CHECKING_FOR_CALLS, FlowJobState.COPYING),
        after_edit=FlowJobState.COPYING,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNDETERMINED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.UPDATING_CALLERS: FlowStateProperties(
        next=_to(FlowJobState.CHECKING_FOR_CALLS), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNCHANGED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.CHECKING_FOR_CALLS: FlowStateProperties(
        next=_to(FlowJobState.RETIRED, FlowJobState.UPDATING_CALLERS, FlowJobState.COPYING),
        after_edit=FlowJobState.COPYING,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.UNCHANGED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=False,
    ),
    FlowJobState.CUTTING_OVER: FlowStateProperties(
        next=_to(FlowJobState.MONITORING, FlowJobState.VERIFIED), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNDETERMINED, copy=ExpectedFlowState.UNDETERMINED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.MONITORING: FlowStateProperties(
        next=_to(FlowJobState.RETIRED), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.OFF, copy=ExpectedFlowState.UNCHANGED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=False,
    ),
    FlowJobState.RETIRED: FlowStateProperties(
        next=_to(), after_edit=None,
        acts=NextActor.NONE, is_pause=False, is_goal=True,
        original=ExpectedFlowState.OFF, copy=ExpectedFlowState.UNCHANGED,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=True,
    ),
    FlowJobState.WAITING: _pause(NextActor.APP),
    FlowJobState.BLOCKED: _pause(NextActor.PERSON),
    FlowJobState.FAILED: _pause(NextActor.PERSON),
    FlowJobState.ROLLING_BACK: FlowStateProperties(
        # To retired: the original was deleted and can no longer be restored.
        next=_to(FlowJobState.ROLLED_BACK, FlowJobState.RETIRED), after_edit=None,
        acts=NextActor.APP, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNDETERMINED, copy=ExpectedFlowState.UNDETERMINED,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    FlowJobState.ROLLED_BACK: FlowStateProperties(
        next=_to(), after_edit=None,
        acts=NextActor.NONE, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.OFF,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=True,
    ),
    FlowJobState.CANCELLED: FlowStateProperties(
        next=_to(), after_edit=None,
        acts=NextActor.NONE, is_pause=False, is_goal=False,
        original=ExpectedFlowState.UNCHANGED, copy=ExpectedFlowState.NONE,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=True,
    ),
}
# fmt: on
