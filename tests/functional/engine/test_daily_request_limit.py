"""Test jobs that wait because the daily limit of requests is used up."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.adapters.state.request_budget import StoredRequestBudget
from shared.adapters.state.request_ledger import BudgetLimit
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.request_demand import RequestDemand
from shared.errors import MustWait
from shared.reason import Reason
from shared.use_cases.check_health import check_health
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes import definition_builder as define
from tests.fakes.clock import count_most_within
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_run_until,
    plan_remediation,
)
from tests.functional.scenarios.request_meter import Meter, put_on_budget

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A_DAY = 40
LIMIT = BudgetLimit(name="flow-service", calls=5, window=HOUR / 60, calls_a_day=A_DAY)


async def list_waiting_flows(scenario: Scenario) -> dict[str, datetime | None]:
    """Return the flows that wait for requests, and the times of their next checks."""
    jobs = await scenario.read_jobs()
    return {
        name: job.next_check_at for name, job in jobs.items() if job.reason_code == Reason.THROTTLED
    }


async def test_jobs_continue_the_next_day_after_the_daily_limit(cli: CommandLine) -> None:
    scenario, meter = Scenario(), Meter()
    put_on_budget(scenario, LIMIT, meter)
    for number in range(20):
        scenario.build.add_http_flow(f"Flow {number}")
    await plan_remediation(scenario)
    await scenario.approve(run=5 * HOUR)
    services = replace(
        scenario.services,
        request_budget=StoredRequestBudget(scenario.fakes.store, scenario.world.clock, LIMIT),
    )
    began, waits = meter.flow_service_requests[0], await list_waiting_flows(scenario)

    await send_due_and_overdue_messages(services)
    health = await check_health(services)
    provide(services)
    shown = await cli.run("health")

    assert len(waits) > 10
    assert all(due and due > began + DAY for due in waits.values())
    assert len(meter.flow_service_requests) == A_DAY - A_DAY // 10
    assert health.request_queues.remaining_today == 0
    assert health.request_queues.next_at
    assert began + DAY < health.request_queues.next_at <= began + DAY + HOUR
    assert health.alert_counts == {Reason.THROTTLED: 1}
    [told] = health.alerts
    assert told.message.startswith("The flow service has reached its daily limit until ")
    pace = "the daily limit is used up; next request at 2026-"
    assert (
        f"Jobs waiting for the request limit\t{health.request_queues.waiting}; {pace}"
        in shown.stdout
    )
    reasons = {
        one.message
        for one in (await scenario.read_jobs()).values()
        if one.reason_code == Reason.THROTTLED
    }
    assert "Waiting for requests: flow-service has reached its daily limit." in reasons

    await scenario.run(DAY)

    assert len(meter.flow_service_requests) > A_DAY
    assert len(await list_waiting_flows(scenario)) < len(waits)

    await scenario.run(40 * DAY)

    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    assert count_most_within(meter.flow_service_requests, DAY) <= A_DAY
    assert (await check_health(services)).alert_counts == {}


async def build_exhausted_scenario(state: FlowJobState) -> Scenario:
    """Return a scenario with a flow job in this state, after other work has used up the daily
    limit.
    """
    scenario, limit = Scenario(), replace(LIMIT, calls=40, calls_a_day=100)
    put_on_budget(scenario, limit, Meter())
    trigger = define.build_connector_trigger(
        "shared_teams", "WebhookKeywordTrigger", is_webhook=True
    )
    connections = {"shared-teams-1": "shared_teams"}
    scenario.build.add_flow("Mail", trigger, in_solution=False, connections=connections)
    await plan_and_run_until(scenario, "Mail", state)
    clock, others = scenario.world.clock, RequestDemand(job_id="others", requests=1, priority="1")
    budget = StoredRequestBudget(scenario.fakes.store, clock, limit)
    while (await budget.read_queue_status()).remaining_today:
        try:
            async with budget.reserve(others):
                await budget.wait_for_requests()
                await budget.take()
        except MustWait as err:
            clock.advance_to(err.until)
    return scenario


async def test_rollback_does_not_wait_for_the_next_day() -> None:
    """A rollback uses the requests that are reserved for it."""
    scenario = await build_exhausted_scenario(FlowJobState.MONITORING)

    await scenario.roll_back(run=HOUR / 6)

    assert (await scenario.read_job("Mail")).state is FlowJobState.ROLLED_BACK


async def test_cutover_in_progress_does_not_wait_for_the_next_day() -> None:
    """Without reserved requests, both flows could be off for a day."""
    scenario = await build_exhausted_scenario(FlowJobState.CUTTING_OVER)

    await scenario.run(HOUR / 12)

    assert (await scenario.read_job("Mail")).step is FlowJobState.MONITORING
