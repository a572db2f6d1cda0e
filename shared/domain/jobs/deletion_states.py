"""Define the states of a deletion, their transitions and their properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class DeletionState(StrEnum):
    """The state of the deletion of an original."""

    SCHEDULED = "scheduled"  #: the date has not come
    ARCHIVING = "archiving"  #: the date has come: runs are archived, then everything is checked
    DELETING = "deleting"  #: the request is recorded and may have been sent
    DELETED = "deleted"  #: the original was deleted; `restorable_until` is 21 days later
    BLOCKED = "blocked"  #: nothing was deleted: fix the reason, then schedule it again
    CANCELLED = "cancelled"  #: the original is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionStateProperties(TransitionProperties[DeletionState]):
    #: The app may have sent the delete request.
    may_be_deleted: bool

    @property
    def can_be_cancelled(self) -> bool:
        """Return whether a deletion in this state can be cancelled, so that the original is
        kept.
        """
        return not self.is_over and not self.may_be_deleted


# fmt: off
DELETION_STATES: Mapping[DeletionState, DeletionStateProperties] = {
    DeletionState.SCHEDULED: DeletionStateProperties(
        next=(DeletionState.ARCHIVING, DeletionState.CANCELLED),
        next_actor=NextActor.APP, resumes_later=False, is_success=False, may_be_deleted=False,
    ),
    DeletionState.ARCHIVING: DeletionStateProperties(
        # To deleted: somebody else deleted the original. To scheduled: it got another date.
        next=(
            DeletionState.DELETING, DeletionState.DELETED, DeletionState.SCHEDULED,
            DeletionState.CANCELLED,
        ),
        next_actor=NextActor.APP, resumes_later=False, is_success=False, may_be_deleted=False,
    ),
    DeletionState.DELETING: DeletionStateProperties(
        # To archiving: the original still exists, and everything is checked again.
        next=(DeletionState.DELETED, DeletionState.ARCHIVING, DeletionState.CANCELLED),
        next_actor=NextActor.APP, resumes_later=False, is_success=False, may_be_deleted=True,
    ),
    DeletionState.DELETED: DeletionStateProperties(
        # The app still checks whether the platform's list shows it. To cancelled: it was restored.
        next=(DeletionState.CANCELLED,),
        next_actor=NextActor.APP, resumes_later=False, is_success=True, may_be_deleted=True,
    ),
    DeletionState.BLOCKED: DeletionStateProperties(
        next=(DeletionState.SCHEDULED, DeletionState.CANCELLED),
        next_actor=NextActor.PERSON, resumes_later=True, is_success=False, may_be_deleted=False,
    ),
    DeletionState.CANCELLED: DeletionStateProperties(
        next=(DeletionState.SCHEDULED,),
        next_actor=NextActor.NONE, resumes_later=False, is_success=False, may_be_deleted=False,
    ),
}
# fmt: on
