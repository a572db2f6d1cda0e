"""Summarize the status of each environment, and which flows the app continues without a person."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.jobs.environment_states import ENVIRONMENT_STATES, EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.current_plan import CurrentPlan
from shared.domain.plans.not_migrated import ClosedCounts, count_not_migrated
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingFlows:
    """The number of flows in an environment that are in the same step and need no person."""

    environment_id: str
    environment_name: str
    step: str
    count: int
    #: When the first and the last of them are checked next.
    first_check_at: datetime | None
    last_check_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """The status of an environment, from its last job that writes, or else from its last job."""

    environment_id: str
    environment_name: str
    remediation_id: str
    state: EnvironmentJobState
    mode: RemediationMode
    #: Whether its job only assesses the environment.
    is_assessment: bool
    #: When its job got this state; None: its history does not say it.
    state_changed_at: datetime | None
    #: Its flows by state, blocked ones first.
    flows: Mapping[str, int]
    #: Flows that are not migrated so far, by reason.
    not_migrated: Mapping[NotMigratedReason, int]
    #: Flows whose original and copy are both off.
    both_off_count: int
    #: Since when a job needs a person before it continues; None: none does.
    blocked_since: datetime | None
    #: Flows whose copies have replaced them, and flows that need no copy once a key is applied.
    migrated_count: int
    prepared_count: int

    @property
    def is_over(self) -> bool:
        """Return whether the environment's job has nothing more to do."""
        return ENVIRONMENT_STATES[self.state].is_over

    @property
    def is_being_assessed_or_planned(self) -> bool:
        """Return whether the app assesses the environment, or makes its plan."""
        return ENVIRONMENT_STATES[self.state].remediation_state is RemediationState.PLANNING

    @property
    def flow_count(self) -> int:
        """Return how many flows were found that do not move to the key without a change."""
        return self.migrated_count + self.prepared_count + sum(self.not_migrated.values())


def build_environment_statuses(
    environment_jobs: Iterable[EnvironmentJob],
    plans: Mapping[str, CurrentPlan],
    jobs: Iterable[FlowJob],
    closed: Mapping[str, ClosedCounts],
) -> list[EnvironmentStatus]:
    """Return the status of each environment. `environment_jobs` contains the newest jobs first.

    `plans` contains the current plan of each environment that has one. `closed` counts closed flow
    jobs that are not among `jobs`.
    """
    newest: dict[str, EnvironmentJob] = {}
    for one in environment_jobs:
        known = newest.get(one.environment_id)
        if known is None or (one.mode.writes and not known.mode.writes):
            newest[one.environment_id] = one
    by_environment: dict[str, list[FlowJob]] = defaultdict(list)
    for job in jobs:
        by_environment[job.environment_id].append(job)
    return [
        _build_environment_status(
            one,
            plans.get(one.environment_id),
            by_environment[one.environment_id],
            closed.get(one.environment_id, {}),
        )
        for one in newest.values()
    ]


def _build_environment_status(
    newest: EnvironmentJob, plan: CurrentPlan | None, jobs: Sequence[FlowJob], closed: ClosedCounts
) -> EnvironmentStatus:
    flows = count_jobs_by_state(jobs, closed)
    blocked = [job.reason_since for job in (newest, *jobs) if job.needs_action]
    return EnvironmentStatus(
        environment_id=newest.environment_id,
        environment_name=newest.environment_name,
        remediation_id=newest.remediation_id,
        state=newest.state,
        mode=newest.mode,
        is_assessment=newest.assessment is not None,
        state_changed_at=newest.state_since,
        flows=flows,
        not_migrated=_count_not_migrated(plan, jobs, closed),
        both_off_count=sum(job.reason_code == Reason.BOTH_OFF for job in jobs),
        blocked_since=min(filter(None, blocked), default=None),
        migrated_count=flows.get(FlowJobState.RETIRED, 0),
        prepared_count=flows.get(FlowJobState.PREPARED, 0),
    )


def _count_not_migrated(
    plan: CurrentPlan | None, jobs: Iterable[FlowJob], closed: ClosedCounts
) -> dict[NotMigratedReason, int]:
    planned = plan.environment_jobs if plan else ()
    ids = {one.id for one in planned}
    # The current plan has counted the flows that earlier jobs cancelled or rolled back.
    counted = [job for job in jobs if not job.is_withdrawn or job.environment_job_id in ids]
    return count_not_migrated(planned, counted, [closed.get(one, {}) for one in ids])


def count_jobs_by_state(jobs: Iterable[FlowJob], *closed: ClosedCounts) -> dict[str, int]:
    """Return the number of jobs in each state. Blocked jobs come first, completed ones last."""
    count = Counter(job.state for job in jobs)
    for states in (states for counts in closed for states in counts.values()):
        for state, number in states.items():
            count[FlowJobState(state)] += number
    order = sorted(
        count,
        key=lambda state: (not FLOW_STATES[state].needs_action, FLOW_STATES[state].is_inactive),
    )
    return {str(state): count[state] for state in order}


def list_ongoing_flows(jobs: Iterable[FlowJob], names: Mapping[str, str]) -> list[OngoingFlows]:
    """Return the flows that the app continues, grouped by environment and step.

    Those that it checks next come first.
    """
    groups: dict[tuple[str, str], list[FlowJob]] = defaultdict(list)
    for job in jobs:
        if not job.is_inactive:
            groups[job.environment_id, str(job.step)].append(job)
    found = [
        OngoingFlows(
            environment_id=environment_id,
            environment_name=names.get(environment_id, ""),
            step=reached,
            count=len(group),
            first_check_at=min(_list_check_times(group), default=None),
            last_check_at=max(_list_check_times(group), default=None),
        )
        for (environment_id, reached), group in groups.items()
    ]
    return sorted(
        found, key=lambda one: (one.first_check_at is None, one.first_check_at or 0, one.step)
    )


def _list_check_times(jobs: Sequence[FlowJob]) -> list[datetime]:
    return [job.next_check_at for job in jobs if job.next_check_at]
