import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import Operation, Store, StoreRow
from shared.state.tables import Tables
from shared.use_cases.run_flow_job import run_flow_job_step
from tests.fakes import definition_builder as define
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation


class ActionBeforeWrite:
    """A store that runs an action once, right before a job's row is written."""

    def __init__(self, store: Store, job_id: str, action: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._job_id = job_id
        self._action: Callable[[], Awaitable[object]] | None = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, *operations: Operation) -> list[StoreRow]:
        action, rows = self._action, [operation.row for operation in operations]
        if action and any((row.table, row.key) == ("flowjobs", self._job_id) for row in rows):
            self._action = None
            await action()
        return await self._store.write(*operations)


def add_call(flow: FakeFlow, url: str) -> str:
    """Return the definition of a flow with an added action that posts to the URL."""
    document = json.loads(flow.client_data)
    actions = document["properties"]["definition"]["actions"]
    actions[f"Call_{len(actions)}"] = define.build_http_action(url) | {"runAfter": {}}
    return json.dumps(document)


async def test_flow_that_calls_itself_by_url_is_retired() -> None:
    """A copy that called the original would keep the original from being retired."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    url = scenario.build.get_trigger_url(orders)
    orders.client_data = add_call(orders, url)
    await plan_remediation(scenario)

    await scenario.approve()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert url not in scenario.world.get_workflow(orders.environment_id, job.copy.id).client_data
    assert scenario.world.violations == []


async def test_flows_in_a_call_loop_are_all_retired() -> None:
    scenario = Scenario()
    flows = [scenario.build.add_http_flow(name) for name in ("A", "B", "C")]
    for flow, called in zip(flows, [*flows[1:], flows[0]], strict=True):
        flow.client_data = add_call(flow, scenario.build.get_trigger_url(called))
    outside = scenario.build.add_http_flow("Outside")
    outside.client_data = add_call(outside, scenario.build.get_trigger_url(flows[0]))
    scenario.build.add_app_setting_caller(outside)
    await plan_remediation(scenario)

    await scenario.approve(run=timedelta(days=90))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []


async def test_call_loop_by_url_is_rolled_back_exactly() -> None:
    scenario = Scenario()
    first, second = scenario.build.add_http_flow("A"), scenario.build.add_http_flow("B")
    first.client_data = add_call(first, scenario.build.get_trigger_url(second))
    second.client_data = add_call(second, scenario.build.get_trigger_url(first))
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("C"))
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    await scenario.approve(run=timedelta(days=90))

    await scenario.roll_back(run=timedelta(days=90))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]
    assert find_differences(before, scenario.world) == []


async def test_rollback_of_a_caller_includes_the_flow_that_it_calls() -> None:
    scenario = Scenario()
    called, caller = scenario.build.add_http_flow("Called"), scenario.build.add_http_flow("Caller")
    caller.client_data = add_call(caller, scenario.build.get_trigger_url(called))
    scenario.build.add_app_setting_caller(caller)
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    await scenario.approve(run=timedelta(days=90))

    await scenario.roll_back(caller.workflow_id, run=timedelta(days=90))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}
    assert find_differences(before, scenario.world) == []
    assert_nothing_lost(scenario)


async def test_called_flow_is_retired_within_a_minute_after_its_caller() -> None:
    scenario = Scenario()
    orders, sales = scenario.build.add_http_flow("Orders"), scenario.build.add_http_flow("Sales")
    sales.client_data = add_call(sales, scenario.build.get_trigger_url(orders))
    scenario.build.add_app_setting_caller(sales)
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(days=3))
    now = scenario.world.clock.now()
    sales.runs.append(FakeRun(run_id="late", started=now, ends=now))  # that one takes longer
    await scenario.run(timedelta(days=5))
    assert (await scenario.read_job("Orders")).message == "Sales has to be retired first."

    await scenario.run(timedelta(days=30))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    ends = {title: job.history[-1].changed_at for title, job in jobs.items()}
    assert ends["Orders"] - ends["Sales"] < timedelta(minutes=1)


async def test_jobs_that_wait_for_each_other_at_the_same_time_are_retired() -> None:
    scenario = Scenario()
    flows = [scenario.build.add_http_flow(name) for name in ("A", "B")]
    for flow, called in zip(flows, reversed(flows), strict=True):
        flow.client_data = add_call(flow, scenario.build.get_trigger_url(called))
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=1))
    one, other = await scenario.read_job("A"), await scenario.read_job("B")
    assert one.next_check_at is not None
    assert other.next_check_at is not None
    scenario.world.clock.advance(
        max(one.next_check_at, other.next_check_at) - scenario.services.now
    )

    async def run_other_job() -> None:
        await run_flow_job_step(scenario.services, other.environment_id, other.id)
        assert (await scenario.read_job("B")).message == "A has to be retired first."

    store = ActionBeforeWrite(scenario.services.tables.store, other.id, run_other_job)
    services = replace(scenario.services, tables=Tables(cast("Any", store)))
    await run_flow_job_step(services, one.environment_id, one.id)
    assert (await scenario.read_job("A")).message == "B has to be retired first."
    await scenario.run(timedelta(hours=1))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []
