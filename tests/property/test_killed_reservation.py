import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes.crash import Moment, Plan
from tests.functional.scenarios.request_meter import Meter, put_on_budget
from tests.property.examples import count_examples
from tests.property.test_remediation_invariants import (
    approve_plan,
    build_ingredients_scenario,
    check_invariants,
    repeat_until_done,
    settle,
)

LIMIT = BudgetLimit(name="flow-service", calls=5, window=timedelta(minutes=1), writes_an_hour=300)


@settings(max_examples=count_examples(30))
@given(
    at=st.integers(min_value=1, max_value=900),
    moment=st.sampled_from(Moment),
    seed=st.integers(0, 10_000),
    unsettled=st.sampled_from([0.0, 0.3]),
)
def test_killed_job_with_a_reservation_stops_no_other_job(
    at: int, moment: Moment, seed: int, unsettled: float
) -> None:
    async def play() -> None:
        plan, meter = Plan(at=at, moment=moment), Meter()
        scenario = build_ingredients_scenario(
            ["two", "two in a flow", "app_setting"], seed, plan, unsettled
        )
        put_on_budget(scenario, LIMIT, meter)
        await scenario.opt_in()
        await repeat_until_done(scenario.order)
        await scenario.run(timedelta(hours=2))
        await approve_plan(scenario)
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_jobs()
        assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert meter.find_most_in_a_minute() <= LIMIT.calls

    asyncio.run(play())
