"""The states of a flow job: where each may go, and what is true in it.

Called flows      planned → copying → copied → proven → updating_callers → quiet → retired
Self-starting     planned → copying → copied → proven → swapping → watched → retired
Flows that are off planned → copying → copied → proven → quiet → retired
Without a copy     planned → preparing → prepared (added to a solution, or edited)
Any open state    → waiting | blocked | failed; what was begun → rolling_back → rolled_back
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.state_machine import Actor, StateFacts


class JobState(StrEnum):
    """How far a flow job is, in the order of the work."""

    PLANNED = "planned"
    PREPARING = "preparing"
    PREPARED = "prepared"
    COPYING = "copying"
    COPIED = "copied"
    PROVEN = "proven"
    UPDATING_CALLERS = "updating_callers"
    QUIET = "quiet"
    SWAPPING = "swapping"
    WATCHED = "watched"
    RETIRED = "retired"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


class Standing(StrEnum):
    """What the state of a job says of its original, or of its copy."""

    NONE = "none"  #: there is none
    AS_IT_WAS = "as_it_was"  #: on if the original was on when its job began
    OFF = "off"
    EITHER = "either"  #: it is being switched, or it depends on the pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts(StateFacts[JobState]):
    """What is true of a flow job in a state. A pause tells only who acts: ask `FlowJob.reached`."""

    #: Where the work goes on if an edit of the original is accepted; None: where it is.
    after_edit: JobState | None
    original: Standing
    copy: Standing
    #: The copy is proven and stands: parents may be written against it.
    is_proven: bool
    #: It is to give way to its copy, or has: neither cancelled nor on its way back.
    is_live: bool
    #: Something was begun, so that to cancel it is to roll it back.
    is_undoable: bool
    #: A job that ends here is not in the way of another for the same flow.
    leaves_nothing: bool
    #: What is in the first wave has to get here before the rest begins.
    is_past_cut_over: bool
    #: As far as its children are concerned, its original is off or a caller like any other.
    is_settled: bool

    @property
    def is_copy_off(self) -> bool:
        """Say whether the copy calls nobody: it is off, or there is none."""
        return self.copy in {Standing.NONE, Standing.OFF}

    def leads_to(self, after: JobState) -> bool:
        """Say whether the work may go on to `after`."""
        return after in self.next or (self.is_undoable and after is JobState.ROLLING_BACK)


def _to(*states: JobState) -> frozenset[JobState]:
    return frozenset(states)


def _pause(acts: Actor) -> FlowFacts:
    return FlowFacts(
        next=_to(),
        acts=acts,
        is_pause=True,
        is_goal=False,
        after_edit=None,
        original=Standing.EITHER,
        copy=Standing.EITHER,
        is_proven=False,
        is_live=True,
        is_undoable=False,
        leaves_nothing=False,
        is_past_cut_over=False,
        is_settled=False,
    )


# fmt: off
FLOW_STATES: Mapping[JobState, FlowFacts] = {
    JobState.PLANNED: FlowFacts(
        next=_to(JobState.COPYING, JobState.PREPARING, JobState.CANCELLED), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.NONE,
        is_proven=False, is_live=True, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.PREPARING: FlowFacts(
        next=_to(JobState.PREPARED, JobState.PLANNED), after_edit=JobState.PLANNED,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.NONE,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.PREPARED: FlowFacts(
        next=_to(), after_edit=None,
        acts=Actor.NOBODY, is_pause=False, is_goal=True,
        original=Standing.AS_IT_WAS, copy=Standing.NONE,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=True,
        is_past_cut_over=True, is_settled=False,
    ),
    JobState.COPYING: FlowFacts(
        next=_to(JobState.COPIED), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.EITHER,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.COPIED: FlowFacts(
        next=_to(JobState.PROVEN), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.EITHER,
        is_proven=False, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.PROVEN: FlowFacts(
        next=_to(JobState.UPDATING_CALLERS, JobState.SWAPPING, JobState.QUIET, JobState.COPYING),
        after_edit=JobState.COPYING,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.EITHER,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.UPDATING_CALLERS: FlowFacts(
        next=_to(JobState.QUIET), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.AS_IT_WAS,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.QUIET: FlowFacts(
        next=_to(JobState.RETIRED, JobState.UPDATING_CALLERS, JobState.COPYING),
        after_edit=JobState.COPYING,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.AS_IT_WAS,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=False,
    ),
    JobState.SWAPPING: FlowFacts(
        next=_to(JobState.WATCHED, JobState.PROVEN), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.EITHER, copy=Standing.EITHER,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.WATCHED: FlowFacts(
        next=_to(JobState.RETIRED), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.OFF, copy=Standing.AS_IT_WAS,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=False,
    ),
    JobState.RETIRED: FlowFacts(
        next=_to(), after_edit=None,
        acts=Actor.NOBODY, is_pause=False, is_goal=True,
        original=Standing.OFF, copy=Standing.AS_IT_WAS,
        is_proven=True, is_live=True, is_undoable=True, leaves_nothing=False,
        is_past_cut_over=True, is_settled=True,
    ),
    JobState.WAITING: _pause(Actor.APP),
    JobState.BLOCKED: _pause(Actor.PERSON),
    JobState.FAILED: _pause(Actor.PERSON),
    JobState.ROLLING_BACK: FlowFacts(
        # Back to retired: the original was deleted, and nothing restores it any more.
        next=_to(JobState.ROLLED_BACK, JobState.RETIRED), after_edit=None,
        acts=Actor.APP, is_pause=False, is_goal=False,
        original=Standing.EITHER, copy=Standing.EITHER,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=False,
        is_past_cut_over=False, is_settled=False,
    ),
    JobState.ROLLED_BACK: FlowFacts(
        next=_to(), after_edit=None,
        acts=Actor.NOBODY, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.OFF,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=True,
    ),
    JobState.CANCELLED: FlowFacts(
        next=_to(), after_edit=None,
        acts=Actor.NOBODY, is_pause=False, is_goal=False,
        original=Standing.AS_IT_WAS, copy=Standing.NONE,
        is_proven=False, is_live=False, is_undoable=False, leaves_nothing=True,
        is_past_cut_over=False, is_settled=True,
    ),
}
# fmt: on
