"""Define the states of an environment job, their transitions and their properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.jobs.state_machine import NextActor, TransitionProperties


class EnvironmentJobState(StrEnum):
    """How far the work in one environment is."""

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
    """The properties of an environment job's state."""

    #: The state of the remediation that has a job in this state.
    shows: RemediationState
    #: Its plan has no decision yet.
    is_undecided: bool


def _to(*states: EnvironmentJobState) -> frozenset[EnvironmentJobState]:
    return frozenset(states)


def _pause() -> EnvironmentStateProperties:
    return EnvironmentStateProperties(
        next=_to(),
        acts=NextActor.PERSON,
        is_pause=True,
        is_goal=False,
        shows=RemediationState.BLOCKED,
        is_undecided=False,
    )


# fmt: off
ENVIRONMENT_STATES: Mapping[EnvironmentJobState, EnvironmentStateProperties] = {
    EnvironmentJobState.ASSESSING: EnvironmentStateProperties(
        next=_to(EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.PLANNING, is_undecided=False,
    ),
    EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION: EnvironmentStateProperties(
        next=_to(EnvironmentJobState.DISCOVERING, EnvironmentJobState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.PLANNING, is_undecided=True,
    ),
    EnvironmentJobState.DISCOVERING: EnvironmentStateProperties(
        next=_to(EnvironmentJobState.PLANNED, EnvironmentJobState.CANCELLED),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.PLANNING, is_undecided=True,
    ),
    EnvironmentJobState.PLANNED: EnvironmentStateProperties(
        next=_to(
            EnvironmentJobState.AWAITING_APPROVAL, EnvironmentJobState.RUNNING_FLOW_JOBS,
            EnvironmentJobState.COMPLETED, EnvironmentJobState.CANCELLED,
        ),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.PLANNING, is_undecided=True,
    ),
    EnvironmentJobState.AWAITING_APPROVAL: EnvironmentStateProperties(
        next=_to(EnvironmentJobState.APPROVED, EnvironmentJobState.CANCELLED),
        acts=NextActor.PERSON, is_pause=False, is_goal=False,
        shows=RemediationState.AWAITING_APPROVAL, is_undecided=True,
    ),
    EnvironmentJobState.APPROVED: EnvironmentStateProperties(
        next=_to(
            EnvironmentJobState.RUNNING_FLOW_JOBS, EnvironmentJobState.AWAITING_APPROVAL,
            EnvironmentJobState.CANCELLED,
        ),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.IN_PROGRESS, is_undecided=False,
    ),
    EnvironmentJobState.RUNNING_FLOW_JOBS: EnvironmentStateProperties(
        next=_to(
            EnvironmentJobState.COMPLETED, EnvironmentJobState.APPROVED,
            EnvironmentJobState.CANCELLED,
        ),
        acts=NextActor.APP, is_pause=False, is_goal=False,
        shows=RemediationState.IN_PROGRESS, is_undecided=False,
    ),
    EnvironmentJobState.COMPLETED: EnvironmentStateProperties(
        next=_to(),
        acts=NextActor.NONE, is_pause=False, is_goal=True,
        shows=RemediationState.COMPLETED, is_undecided=False,
    ),
    EnvironmentJobState.BLOCKED: _pause(),
    EnvironmentJobState.FAILED: _pause(),
    EnvironmentJobState.CANCELLED: EnvironmentStateProperties(
        next=_to(),
        acts=NextActor.NONE, is_pause=False, is_goal=False,
        shows=RemediationState.CANCELLED, is_undecided=False,
    ),
}
# fmt: on
