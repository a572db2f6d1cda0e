"""Define the states of a remediation. They follow from its jobs and are not stored."""

from collections.abc import Mapping
from enum import StrEnum

from shared.domain.jobs.state_machine import NextActor, StateProperties


class RemediationState(StrEnum):
    """The state of a remediation: of these states, the first that applies to any of its jobs."""

    AWAITING_APPROVAL = "awaiting_approval"  #: at least one plan awaits approval
    IN_PROGRESS = "in_progress"  #: the app works and no one has to act
    PLANNING = "planning"  #: the app waits for the platform migration, or makes the plan
    BLOCKED = "blocked"  #: nothing continues without a person
    COMPLETED = "completed"  #: the app has nothing more to do
    CANCELLED = "cancelled"  #: it was cancelled; the app has nothing more to do


REMEDIATION_STATES: Mapping[RemediationState, StateProperties] = {
    RemediationState.AWAITING_APPROVAL: StateProperties(
        next_actor=NextActor.PERSON, resumes_later=False, is_success=False
    ),
    RemediationState.IN_PROGRESS: StateProperties(
        next_actor=NextActor.APP, resumes_later=False, is_success=False
    ),
    RemediationState.PLANNING: StateProperties(
        next_actor=NextActor.APP, resumes_later=False, is_success=False
    ),
    RemediationState.BLOCKED: StateProperties(
        next_actor=NextActor.PERSON, resumes_later=True, is_success=False
    ),
    RemediationState.COMPLETED: StateProperties(
        next_actor=NextActor.NONE, resumes_later=False, is_success=True
    ),
    RemediationState.CANCELLED: StateProperties(
        next_actor=NextActor.NONE, resumes_later=False, is_success=False
    ),
}
