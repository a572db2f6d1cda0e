"""The states of the delete of a retired original: where each may go, and what is true in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class DeletionState(StrEnum):
    """How far a deletion is."""

    SCHEDULED = "scheduled"
    ARCHIVING = "archiving"  #: its date has come: run summaries are archived, then all is checked
    DELETING = "deleting"  #: the call is noted and may or may not have been made
    DELETED = "deleted"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionStateProperties(TransitionProperties[DeletionState]):
    """What is true of a deletion in a state."""

    #: The platform may have been asked to delete the original.
    may_be_gone: bool

    @property
    def can_be_kept(self) -> bool:
        """Say whether a cancel spares the original."""
        return self.acts is not NextActor.NOBODY and not self.may_be_gone


def _to(*states: DeletionState) -> frozenset[DeletionState]:
    return frozenset(states)


# fmt: off
DELETION_STATES: Mapping[DeletionState, DeletionStateProperties] = {
    DeletionState.SCHEDULED: DeletionStateProperties(
        next=_to(DeletionState.ARCHIVING, DeletionState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=False, may_be_gone=False,
    ),
    DeletionState.ARCHIVING: DeletionStateProperties(
        # Deleted at once: somebody else has done it. Scheduled: it was ordered for another date.
        next=_to(
            DeletionState.DELETING, DeletionState.DELETED, DeletionState.SCHEDULED,
            DeletionState.CANCELLED,
        ),
        acts=NextActor.APP, is_pause=False, is_goal=False, may_be_gone=False,
    ),
    DeletionState.DELETING: DeletionStateProperties(
        # Archiving: the original is still there, and all is checked again.
        next=_to(DeletionState.DELETED, DeletionState.ARCHIVING, DeletionState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=False, may_be_gone=True,
    ),
    DeletionState.DELETED: DeletionStateProperties(
        # The app still asks whether the platform's list has lost it. Cancelled: it was restored.
        next=_to(DeletionState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=True, may_be_gone=True,
    ),
    DeletionState.BLOCKED: DeletionStateProperties(
        next=_to(DeletionState.SCHEDULED, DeletionState.CANCELLED),
        acts=NextActor.PERSON, is_pause=True, is_goal=False, may_be_gone=False,
    ),
    DeletionState.CANCELLED: DeletionStateProperties(
        next=_to(DeletionState.SCHEDULED),
        acts=NextActor.NOBODY, is_pause=False, is_goal=False, may_be_gone=False,
    ),
}
# fmt: on
