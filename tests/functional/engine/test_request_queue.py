"""Test the request queue and its reserves for cutovers and rollbacks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait
from shared.ports import Clock, Environments
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.check_health import check_health
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.show_status import show_status
from tests.fakes import definition_builder as define
from tests.fakes.ports import Ports
from tests.fakes.runtime import UnlimitedRequests
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_run_until,
    plan_remediation,
)
from tests.functional.scenarios.request_meter import Meter, put_on_budget

HOUR = timedelta(hours=1)
LIMIT = BudgetLimit(name="flow-service", calls=5, window=HOUR / 60)
HOURLY = BudgetLimit(name="flow-service", calls=40, window=HOUR / 60, writes_an_hour=20)


class Counted:
    def __init__(self, port: object) -> None:
        self.port = port
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        return getattr(self.port, name)


class OneTurn(UnlimitedRequests):
    """A request budget that lets jobs of low priority wait until a time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.opens = clock.now()

    @asynccontextmanager
    async def reserve(self, need: RequestDemand | None) -> AsyncGenerator[None]:
        if need and need.priority > "3" and self.clock.now() < self.opens:
            raise MustWait("It is not its turn.", until=self.opens, code=Reason.THROTTLED)
        yield


async def test_job_in_the_request_queue_sends_no_request() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    turns = OneTurn(scenario.world.clock)
    make, reads = scenario.driver.make, Counted(scenario.services.environments)

    def with_turns(ports: Ports) -> Services:
        # Each delivery reads its environment first.
        return replace(make(ports), request_budget=turns, environments=cast("Environments", reads))

    scenario.driver.make = with_turns
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    turns.opens = scenario.services.now + HOUR
    await scenario.run(HOUR / 6)
    reads.calls = 0

    await scenario.run(HOUR / 2)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code, job.next_check_at) == (
        FlowJobState.WAITING,
        Reason.THROTTLED,
        turns.opens,
    )
    assert (job.step, job.fencing_token) == (FlowJobState.PLANNED, 0)
    assert reads.calls == 0

    await scenario.run(timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_long_pause_of_the_request_queue_is_reported() -> None:
    scenario, meter = Scenario(), Meter()
    put_on_budget(scenario, LIMIT, meter)
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    budget = StoredRequestBudget(scenario.fakes.store, scenario.world.clock, LIMIT)
    opens = scenario.services.now + 2 * HOUR
    await budget.slow_down(2 * HOUR)
    await scenario.approve(run=HOUR / 2)
    services = replace(scenario.services, request_budget=budget)

    await send_due_and_overdue_messages(services)
    health = await check_health(services)

    assert health.request_queues.waiting == 1
    assert health.request_queues.next_at == opens
    assert (await scenario.read_environment_job()).next_check_at == opens
    assert health.alert_counts == {Reason.THROTTLED: 1}
    assert [one.reason_code for one in scenario.fakes.notices.told] == [Reason.THROTTLED]

    await scenario.run(timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert (await check_health(services)).request_queues.waiting == 0
    assert (await check_health(services)).alert_counts == {}


async def test_job_continues_after_jobs_before_it_in_the_queue_are_cancelled() -> None:
    scenario = Scenario()
    put_on_budget(scenario, LIMIT, Meter())
    for number in range(40):
        scenario.build.add_http_flow(f"Flow {number}")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR / 60)
    waiting = [
        job for job in (await scenario.read_jobs()).values() if job.step is FlowJobState.PLANNED
    ]
    *others, last = sorted(waiting, key=lambda job: str(job.next_check_at))

    await scenario.roll_back(*(job.original.id for job in others), run=HOUR / 4)

    jobs = await scenario.read_jobs()
    assert last.next_check_at is not None
    assert last.next_check_at > scenario.services.now
    assert jobs[last.display_name].step is FlowJobState.CHECKING_FOR_CALLS
    assert {jobs[job.display_name].state for job in others} == {FlowJobState.CANCELLED}
    assert (
        await StoredRequestBudget(
            scenario.fakes.store, scenario.world.clock, LIMIT
        ).read_queue_status()
    ).waiting == 0


def add_flow_outside_solutions(scenario: Scenario, name: str) -> None:
    """Add a self-starting flow that only the flow service can turn on and off."""
    trigger = define.build_connector_trigger(
        "shared_teams", "WebhookKeywordTrigger", is_webhook=True
    )
    connections = {"shared-teams-1": "shared_teams"}
    scenario.build.add_flow(name, trigger, in_solution=False, connections=connections)


async def use_up_writes_of_the_hour(scenario: Scenario) -> None:
    """Take all writes of the hour from the budget, except the reserve."""
    budget = StoredRequestBudget(scenario.fakes.store, scenario.world.clock, HOURLY)
    other = RequestDemand(job_id="other", requests=1, priority="1")
    with suppress(MustWait):
        while True:
            async with budget.reserve(other):
                await budget.take(is_write=True)
    with pytest.raises(MustWait):
        await budget.reserve(other).__aenter__()


async def test_cutover_uses_the_reserve_of_writes() -> None:
    """Otherwise both flows could be off until the hour is over."""
    scenario = Scenario()
    put_on_budget(scenario, HOURLY, Meter())
    add_flow_outside_solutions(scenario, "Mail")
    await plan_and_run_until(scenario, "Mail", FlowJobState.CUTTING_OVER)
    await use_up_writes_of_the_hour(scenario)

    await scenario.run(HOUR / 12)

    assert (await scenario.read_job("Mail")).step is FlowJobState.MONITORING


async def test_rollback_uses_the_reserve_of_writes() -> None:
    """Otherwise the rollback would wait for the next hour."""
    scenario = Scenario()
    put_on_budget(scenario, HOURLY, Meter())
    add_flow_outside_solutions(scenario, "Mail")
    await plan_and_run_until(scenario, "Mail", FlowJobState.MONITORING)
    await use_up_writes_of_the_hour(scenario)

    await scenario.roll_back(run=HOUR / 6)

    assert (await scenario.read_job("Mail")).state is FlowJobState.ROLLED_BACK


async def test_damaged_budget_row_is_reported_and_stops_nothing() -> None:
    scenario = Scenario()
    put_on_budget(scenario, LIMIT, Meter())
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    name = ("requestbudgets", LIMIT.name, "leases")
    row = scenario.fakes.store.rows[name]
    scenario.fakes.store.rows[name] = replace(row, columns={"ledger": "{garbage"}, etag="damaged")

    await scenario.run(HOUR / 4)
    services = scenario.services
    health = await check_health(services)
    (waiting,) = (await show_status(services)).pending_actions

    assert health.alert_counts == {Reason.REQUEST_BUDGET_RESET: 1}
    assert [told.row for told in scenario.fakes.notices.told] == [name]
    assert "/".join(name) in waiting.message
    assert waiting.fix == Reason.REQUEST_BUDGET_RESET.fix
    assert (await scenario.read_job("Orders")).step is FlowJobState.CHECKING_FOR_CALLS
