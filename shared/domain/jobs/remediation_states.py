"""The states of a remediation. It goes where its jobs take it, and has no row for its state."""

from collections.abc import Mapping
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, StateProperties


class RemediationState(StrEnum):
    """How far a remediation is: of what its jobs show, what stands first here."""

    AWAITING_APPROVAL = "awaiting_approval"  #: at least one plan waits for an administrator
    RUNNING = "running"
    PLANNING = "planning"
    STUCK = "stuck"  #: nothing goes on by itself, and a person has to do something
    FINISHED = "finished"
    CANCELLED = "cancelled"


REMEDIATION_STATES: Mapping[RemediationState, StateProperties] = {
    RemediationState.AWAITING_APPROVAL: StateProperties(
        acts=NextActor.PERSON, is_pause=False, is_goal=False
    ),
    RemediationState.RUNNING: StateProperties(acts=NextActor.APP, is_pause=False, is_goal=False),
    RemediationState.PLANNING: StateProperties(acts=NextActor.APP, is_pause=False, is_goal=False),
    RemediationState.STUCK: StateProperties(acts=NextActor.PERSON, is_pause=True, is_goal=False),
    RemediationState.FINISHED: StateProperties(acts=NextActor.NOBODY, is_pause=False, is_goal=True),
    RemediationState.CANCELLED: StateProperties(
        acts=NextActor.NOBODY, is_pause=False, is_goal=False
    ),
}
