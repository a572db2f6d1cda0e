"""How many calls of the flow service the next delivery of a job takes, and whose turn it is.

What is furthest along goes first: nothing is begun while what was begun has something to do.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.request_demand import RequestDemand

#: Of a flow that others call: as many as its next delivery takes from there on, counted by
#: tests/performance/test_calls_per_delivery.py. A copy waits for a list before it is proven; from
#: then on a delivery goes on until the callers have moved. Where a share does not lend the operator
#: a flow it takes six more, and waits for them. What is wrong here costs waiting, and no call.
_FLOW_CALLS: Mapping[FlowJobState, int] = {
    FlowJobState.COPIED: 3,
    FlowJobState.CHECKING_FOR_CALLS: 2,
}
_ROLLBACK_CALLS = 5
#: Of a flow that starts by itself, or is off.
_OTHER_CALLS: Mapping[FlowJobState, int] = {FlowJobState.COPIED: 0, FlowJobState.MONITORING: 0}
#: Elsewhere.
_FEW = 1
#: Before it retires an original: one more where the copy calls hosts, whose runs are looked at.
_RETIRING = frozenset({FlowJobState.CHECKING_FOR_CALLS, FlowJobState.MONITORING})
_ENVIRONMENT_CALLS: Mapping[EnvironmentJobState, int] = {
    EnvironmentJobState.ASSESSING: 1,
    EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION: 2,
    EnvironmentJobState.DISCOVERING: 2,
    EnvironmentJobState.APPROVED: 2,
}
#: Who goes first: what is on its way back, what was begun, plans, what was not begun.
_BACK, _BEGUN, _PLAN, _NEW = "0", "1", "2", "3"
_DEPTHS = {state: f"{99 - number:02}" for number, state in enumerate(FlowJobState)}


def flow_job_demand(job: FlowJob) -> RequestDemand | None:
    """Return what the next delivery of a flow job needs; None, or no calls: it waits for nobody.

    So it is while neither flow of a pair may be on, and where an order ends what was not begun.
    """
    reached = job.reached
    if job.both_off_since or reached is FlowJobState.CUTTING_OVER:
        return _need(job.id, 0, _BACK)
    if job.is_rolling_back or job.requested:
        is_begun = job.is_rolling_back or job.state_properties.can_roll_back
        return _need(job.id, _ROLLBACK_CALLS, _BACK) if is_begun else None
    if reached is FlowJobState.PLANNED:
        family = min(job.parents, default=job.id).rpartition("/")[2]
        need = _need(job.id, _calls(job), f"{_NEW}-{family}")
        return replace(need, later_requests=_calls_of(job)[FlowJobState.COPIED])
    if job.active_grants:  # what was lent is returned first
        return _need(job.id, _calls(job), _BACK)
    return _need(job.id, _calls(job), f"{_BEGUN}-{_DEPTHS[reached]}")


def environment_job_demand(job: EnvironmentJob) -> RequestDemand:
    """Return what the next delivery of an environment job needs."""
    return _need(job.id, _ENVIRONMENT_CALLS.get(job.reached, 0), _PLAN)


def _calls(job: FlowJob) -> int:
    looks = job.reached in _RETIRING and bool(job.http_hosts)
    return _calls_of(job).get(job.reached, _FEW) + looks


def _calls_of(job: FlowJob) -> Mapping[FlowJobState, int]:
    has_url = job.has_trigger_url and job.pattern is not MigrationMethod.COPY_OFF
    return _FLOW_CALLS if has_url else _OTHER_CALLS


def _need(whose: str, calls: int, rank: str) -> RequestDemand:
    return RequestDemand(job_id=whose, calls=calls, priority=rank, is_urgent=rank == _BACK)
