"""The states of a remediation. It goes where its jobs take it, and has no row for its state."""

from collections.abc import Mapping
from enum import StrEnum

from shared.domain.jobs.state_machine import Actor, Facts


class RemediationState(StrEnum):
    """How far a remediation is: of what its jobs show, what stands first here."""

    AWAITING_APPROVAL = "awaiting_approval"  #: at least one plan waits for an administrator
    RUNNING = "running"
    PLANNING = "planning"
    STUCK = "stuck"  #: nothing goes on by itself, and a person has to do something
    FINISHED = "finished"
    CANCELLED = "cancelled"


REMEDIATION_STATES: Mapping[RemediationState, Facts] = {
    RemediationState.AWAITING_APPROVAL: Facts(acts=Actor.PERSON, is_pause=False, is_goal=False),
    RemediationState.RUNNING: Facts(acts=Actor.APP, is_pause=False, is_goal=False),
    RemediationState.PLANNING: Facts(acts=Actor.APP, is_pause=False, is_goal=False),
    RemediationState.STUCK: Facts(acts=Actor.PERSON, is_pause=True, is_goal=False),
    RemediationState.FINISHED: Facts(acts=Actor.NOBODY, is_pause=False, is_goal=True),
    RemediationState.CANCELLED: Facts(acts=Actor.NOBODY, is_pause=False, is_goal=False),
}
