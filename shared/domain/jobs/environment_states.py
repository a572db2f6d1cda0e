"""Define the states of an environment job, their transitions and their properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class EnvironmentJobState(StrEnum):
    """The state of an environment job."""

    ASSESSING = "assessing"  #: an assessment was requested; nothing is planned
    WAITING_FOR_PLATFORM_MIGRATION = "waiting_for_platform_migration"
    DISCOVERING = "discovering"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"  #: the app compares the tenant with the approved plan
    RUNNING_FLOW_JOBS = "running_flow_jobs"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStateProperties(TransitionProperties[EnvironmentJobState]):
    #: The state of the remediation that has a job in this state.
    remediation_state: RemediationState
    #: Its plan has no decision yet.
    awaits_decision: bool


# fmt: off
_PAUSE = EnvironmentStateProperties(
    next=(),
    next_actor=NextActor.PERSON, resumes_later=True, is_success=False,
    remediation_state=RemediationState.BLOCKED, awaits_decision=False,
)
ENVIRONMENT_STATES: Mapping[EnvironmentJobState, EnvironmentStateProperties] = {
    EnvironmentJobState.ASSESSING: EnvironmentStateProperties(
        next=(EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.PLANNING, awaits_decision=False,
    ),
    EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION: EnvironmentStateProperties(
        next=(EnvironmentJobState.DISCOVERING, EnvironmentJobState.CANCELLED),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.PLANNING, awaits_decision=True,
    ),
    EnvironmentJobState.DISCOVERING: EnvironmentStateProperties(
        next=(EnvironmentJobState.PLANNED, EnvironmentJobState.CANCELLED),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.PLANNING, awaits_decision=True,
    ),
    EnvironmentJobState.PLANNED: EnvironmentStateProperties(
        next=(
            EnvironmentJobState.AWAITING_APPROVAL, EnvironmentJobState.RUNNING_FLOW_JOBS,
            EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED,
        ),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.PLANNING, awaits_decision=True,
    ),
    EnvironmentJobState.AWAITING_APPROVAL: EnvironmentStateProperties(
        next=(EnvironmentJobState.APPROVED, EnvironmentJobState.CANCELLED),
        next_actor=NextActor.PERSON, resumes_later=False, is_success=False,
        remediation_state=RemediationState.AWAITING_APPROVAL, awaits_decision=True,
    ),
    EnvironmentJobState.APPROVED: EnvironmentStateProperties(
        next=(
            EnvironmentJobState.RUNNING_FLOW_JOBS, EnvironmentJobState.AWAITING_APPROVAL,
            EnvironmentJobState.CANCELLED,
        ),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.IN_PROGRESS, awaits_decision=False,
    ),
    EnvironmentJobState.RUNNING_FLOW_JOBS: EnvironmentStateProperties(
        next=(
            EnvironmentJobState.COMPLETED, EnvironmentJobState.APPROVED,
            EnvironmentJobState.CANCELLED,
        ),
        next_actor=NextActor.APP, resumes_later=False, is_success=False,
        remediation_state=RemediationState.IN_PROGRESS, awaits_decision=False,
    ),
    EnvironmentJobState.COMPLETED: EnvironmentStateProperties(
        next=(),
        next_actor=NextActor.NONE, resumes_later=False, is_success=True,
        remediation_state=RemediationState.COMPLETED, awaits_decision=False,
    ),
    EnvironmentJobState.BLOCKED: _PAUSE,
    EnvironmentJobState.FAILED: _PAUSE,
    EnvironmentJobState.CANCELLED: EnvironmentStateProperties(
        next=(),
        next_actor=NextActor.NONE, resumes_later=False, is_success=False,
        remediation_state=RemediationState.CANCELLED, awaits_decision=False,
    ),
}
# fmt: on
