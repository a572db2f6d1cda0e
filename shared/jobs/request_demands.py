"""Estimate how many requests to the flow service a job's next invocation needs, and its rank in the
request queue.

Rollbacks and cutovers come first, then jobs in progress, plans, and jobs that have not started.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.request_demand import RequestDemand

#: For called flows: the requests of the next invocation from that state, as counted by
#: tests/performance/test_requests_per_invocation.py. A copy waits for the Microsoft-key list before
#: it is verified; after that, one invocation continues until the callers are updated. Where a share
#: has no effect, it needs six more requests and waits for them. A wrong number only costs waiting
#: time.
_FLOW_CALLS: Mapping[FlowJobState, int] = {
    FlowJobState.COPIED: 3,
    FlowJobState.CHECKING_FOR_CALLS: 2,
}
_ROLLBACK_CALLS = 5
#: For self-starting flows and flows that are off.
_OTHER_CALLS: Mapping[FlowJobState, int] = {FlowJobState.COPIED: 0, FlowJobState.MONITORING: 0}
#: In other states.
_DEFAULT_COUNT = 1
#: Before an original is retired: one more if the copy calls hosts, to read its runs.
_RETIRING = frozenset({FlowJobState.CHECKING_FOR_CALLS, FlowJobState.MONITORING})
_ENVIRONMENT_CALLS: Mapping[EnvironmentJobState, int] = {
    EnvironmentJobState.ASSESSING: 1,
    EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION: 2,
    EnvironmentJobState.DISCOVERING: 2,
    EnvironmentJobState.APPROVED: 2,
}
#: Ranks: rollbacks and cutovers, jobs in progress, plans, jobs that have not started.
_ROLLBACK, _IN_PROGRESS, _PLAN, _NEW = "0", "1", "2", "3"
_DEPTHS = {state: f"{99 - number:02}" for number, state in enumerate(FlowJobState)}


def estimate_flow_job_demand(job: FlowJob) -> RequestDemand | None:
    """Return the requests that the next invocation of a flow job needs.

    None: a command was requested before the job started, so the job need not wait.
    """
    reached = job.step
    if job.both_off_since or reached is FlowJobState.CUTTING_OVER:
        return _build_demand(job.id, 0, _ROLLBACK)
    if job.is_rolling_back or job.requested_command:
        is_begun = job.is_rolling_back or job.state_properties.can_roll_back
        return _build_demand(job.id, _ROLLBACK_CALLS, _ROLLBACK) if is_begun else None
    if reached is FlowJobState.PLANNED:
        group = min(job.parents, default=job.id).rpartition("/")[2]
        demand = _build_demand(job.id, _count_requests(job), f"{_NEW}-{group}")
        return replace(demand, later_requests=_choose_request_counts(job)[FlowJobState.COPIED])
    if job.grants.active:  # grants are revoked first
        return _build_demand(job.id, _count_requests(job), _ROLLBACK)
    return _build_demand(job.id, _count_requests(job), f"{_IN_PROGRESS}-{_DEPTHS[reached]}")


def estimate_environment_job_demand(job: EnvironmentJob) -> RequestDemand:
    """Return the requests that the next invocation of an environment job needs."""
    return _build_demand(job.id, _ENVIRONMENT_CALLS.get(job.step, 0), _PLAN)


def _count_requests(job: FlowJob) -> int:
    looks = job.step in _RETIRING and bool(job.original.http_hosts)
    return _choose_request_counts(job).get(job.step, _DEFAULT_COUNT) + looks


def _choose_request_counts(job: FlowJob) -> Mapping[FlowJobState, int]:
    has_url = job.original.has_trigger_url and job.migration_method is not MigrationMethod.COPY_OFF
    return _FLOW_CALLS if has_url else _OTHER_CALLS


def _build_demand(whose: str, requests: int, rank: str) -> RequestDemand:
    return RequestDemand(
        job_id=whose, requests=requests, priority=rank, is_urgent=rank == _ROLLBACK
    )
