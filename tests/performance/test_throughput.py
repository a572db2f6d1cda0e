"""Test remediations at the default budget of the flow service."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.settings import Settings
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.request_meter import Meter, put_on_budget

FLOWS = 40
MINUTE = timedelta(minutes=1)
LIMIT = BudgetLimit(
    name="flow-service",
    calls=Settings(tenant_id="fakes").flow_service_requests_per_minute,
    window=MINUTE,
)


async def remediate_forty_flows(limit: BudgetLimit) -> tuple[Meter, Sequence[FlowJob]]:
    """Remediate forty flows within a budget. Return the recorded requests and the jobs."""
    meter, scenario = Meter(), Scenario(mode=ApprovalPolicy.AUTOMATIC)
    put_on_budget(scenario, limit, meter)
    for number in range(FLOWS):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.run(timedelta(days=30))
    return meter, list((await scenario.read_jobs()).values())


async def test_small_budget_is_used_and_causes_no_additional_request() -> None:
    wide, _ = await remediate_forty_flows(replace(LIMIT, calls=100_000))
    meter, jobs = await remediate_forty_flows(LIMIT)

    assert {job.state for job in jobs} == {FlowJobState.RETIRED}
    moved = sorted(job.observation.started_at for job in jobs if job.observation.started_at)
    begun = min(job.history[0].changed_at for job in jobs)
    first, last = moved[0] - begun, moved[-1] - begun
    made = sum(begun < moment <= moved[-1] for moment in meter.flow_service_requests)
    allowed = LIMIT.calls * (last / MINUTE)
    assert all(
        count <= 1.1 * wide.count_requests()[name] for name, count in meter.count_requests().items()
    )
    assert made >= 0.95 * allowed
    assert first <= 10 * MINUTE
    assert meter.find_most_in_a_minute() <= LIMIT.calls
