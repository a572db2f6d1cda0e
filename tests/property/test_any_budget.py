"""Test that remediations and deletions complete with any request budget."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes import definition_builder as define
from tests.functional.deleting.deletion_scenario import (
    DAY,
    build_retired_scenario,
    find_original,
    request_deletions,
    run_timers,
)
from tests.functional.planning.test_hidden_definitions import build_hidden_scenario
from tests.functional.scenarios.recorded_list_reads import WatchedReport
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.request_meter import MINUTE, Meter, put_on_budget
from tests.property.examples import count_examples

MOST_FLOWS = 6


@settings(max_examples=count_examples(20))
@given(
    flows=st.integers(1, MOST_FLOWS),
    page=st.integers(1, MOST_FLOWS),
    calls=st.integers(1, 6),
    shares_lend=st.booleans(),
)
@example(flows=3, page=1, calls=1, shares_lend=False)
def test_remediation_ends_and_reads_no_page_twice(
    flows: int, page: int, calls: int, *, shares_lend: bool
) -> None:
    async def play() -> None:
        scenario, report, meter = Scenario(), WatchedReport(), Meter()
        for number in range(flows):
            scenario.build.add_app_setting_caller(scenario.build.add_http_flow(f"Flow {number}"))
        scenario.build.apply_key()
        scenario.world.report_page = page
        report.put_before(scenario)
        limit = BudgetLimit(name="flow-service", calls=calls, window=MINUTE)
        put_on_budget(scenario, limit, meter)
        await scenario.opt_in()
        scenario.world.assumptions.shares_let_people_ask = shares_lend

        await scenario.order(run=timedelta(hours=4))
        await scenario.approve(run=timedelta(days=15))

        jobs = await scenario.read_jobs()
        assert [job.state for job in jobs.values()] == [FlowJobState.RETIRED] * flows, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        whole = [str(first) if first else "" for first in range(0, flows, page)]
        for kind in (True, False):
            assert all(one == whole for one in report.list_readings(cannot_migrate_only=kind))
        assert meter.find_most_in_a_minute() <= calls
        assert await scenario.services.tables.discovery_pages.read_all() == []

    asyncio.run(play())


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_remediation_of_a_hidden_flow_ends_with_few_requests(calls: int, others: int) -> None:
    """The reads before a write may use up the budget, so that the write has to wait."""

    async def play() -> None:
        scenario, _ = build_hidden_scenario()
        for number in range(others):
            flow = scenario.build.add_http_flow(f"Flow {number}")
            scenario.build.add_app_setting_caller(flow, site=f"app-{number}")
        meter = Meter()
        put_on_budget(scenario, BudgetLimit(name="flow-service", calls=calls, window=MINUTE), meter)
        await scenario.opt_in()

        await scenario.order(run=timedelta(hours=6))
        await scenario.approve(run=timedelta(days=20))

        jobs = await scenario.read_jobs()
        assert [job.state for job in jobs.values()] == [FlowJobState.RETIRED] * (others + 1), [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        assert meter.find_most_in_a_minute() <= calls

    asyncio.run(play())


@pytest.mark.parametrize("in_solution", [True, False])
@pytest.mark.parametrize("calls", [1, 2, 3, 4])
async def test_deletion_ends_with_few_requests(calls: int, *, in_solution: bool) -> None:
    trigger = define.build_request_trigger("Http" if in_solution else "PowerApp")
    scenario = await build_retired_scenario(
        lambda new: new.build.add_flow("Button", trigger, in_solution=in_solution)
    )
    meter = Meter()
    put_on_budget(scenario, BudgetLimit(name="flow-service", calls=calls, window=MINUTE), meter)
    services = scenario.driver.make(scenario.fakes.ports)
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)

    await run_timers(scenario, services)

    assert find_original(scenario, "Button").is_deleted
    assert meter.find_most_in_a_minute() <= calls
