"""Remediations at the default budget of the flow service, five calls a minute, in moved time.

That budget decides how long a remediation takes: it is used while work waits, nothing is called
twice because of it, and what was begun is ended before more is begun.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.settings import Settings
from tests.functional.scenarios.call_meter import Meter, put_on_budget
from tests.functional.scenarios.remediation_scenario import Scenario

FLOWS = 40
MINUTE = timedelta(minutes=1)
LIMIT = BudgetLimit(
    name="flow-service",
    calls=Settings(tenant_id="fakes").flow_service_requests_per_minute,
    window=MINUTE,
)


async def remediated(limit: BudgetLimit) -> tuple[Meter, Sequence[FlowJob]]:
    """Remediate forty flows within a budget; return the requests and the jobs."""
    meter, scenario = Meter(), Scenario(mode=ApprovalPolicy.AUTOMATIC)
    put_on_budget(scenario, limit, meter)
    for number in range(FLOWS):
        scenario.build.http_flow(f"Flow {number}")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.run(timedelta(days=30))
    return meter, list((await scenario.jobs()).values())


async def test_a_small_budget_is_used_and_costs_no_call() -> None:
    """At five requests a minute, 95 % of the budget is used until all callers are updated.

    No service is called more often than where calls are plenty, but for a tenth, and the first
    flow is quiet within ten minutes.
    """
    wide, _ = await remediated(replace(LIMIT, calls=100_000))
    meter, jobs = await remediated(LIMIT)

    assert {job.state for job in jobs} == {FlowJobState.RETIRED}
    moved = sorted(job.observation_started_at for job in jobs if job.observation_started_at)
    begun = min(job.history[0].changed_at for job in jobs)
    first, last = moved[0] - begun, moved[-1] - begun
    made = sum(begun < moment <= moved[-1] for moment in meter.scarce)
    allowed = LIMIT.calls * (last / MINUTE)
    assert all(count <= 1.1 * wide.counts()[name] for name, count in meter.counts().items())
    assert made >= 0.95 * allowed
    assert first <= 10 * MINUTE
    assert meter.most_in_a_minute() <= LIMIT.calls
