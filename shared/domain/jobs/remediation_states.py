"""Define the states of a remediation. They follow from its jobs and are not stored."""

from collections.abc import Mapping
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, StateProperties


class RemediationState(StrEnum):
    """How far a remediation is: the first of these that one of its jobs shows."""

    AWAITING_APPROVAL = "awaiting_approval"  #: at least one plan awaits approval
    RUNNING = "running"  #: the app works and no one has to act
    PLANNING = "planning"  #: the app waits for the platform migration, or makes the plan
    STUCK = "stuck"  #: nothing continues without a person
    FINISHED = "finished"  #: the app has nothing more to do
    CANCELLED = "cancelled"  #: it was cancelled; the app has nothing more to do


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
