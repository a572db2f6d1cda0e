"""Originals that call themselves or one another by URL, in circles too."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import Operation, Store, StoreRow
from shared.tables import Tables
from shared.use_cases.run_flow_job import run_flow_job_step
from tests.fakes import definition_builder as define
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import TwinFlow, TwinRun
from tests.functional.scenarios.remediation_scenario import Story
from tests.functional.scenarios.watched_scenario import assert_nothing_lost, planned


class Meanwhile:
    """A store in which something happens right before a job's row is first written."""

    def __init__(self, store: Store, job_id: str, deed: Callable[[], Awaitable[object]]) -> None:
        """Do `deed` once."""
        self._store = store
        self._job_id = job_id
        self._deed: Callable[[], Awaitable[object]] | None = deed

    def __getattr__(self, name: str) -> Any:
        """Return the store's own attribute."""
        return getattr(self._store, name)

    async def write(self, *operations: Operation) -> list[StoreRow]:
        """Write, after the deed."""
        deed, rows = self._deed, [operation.row for operation in operations]
        if deed and any((row.table, row.key) == ("flowjobs", self._job_id) for row in rows):
            self._deed = None
            await deed()
        return await self._store.write(*operations)


def with_call(flow: TwinFlow, url: str) -> str:
    """Return the definition of a flow with an action that posts to a URL."""
    document = json.loads(flow.client_data)
    actions = document["properties"]["definition"]["actions"]
    actions[f"Call_{len(actions)}"] = define.http_action(url) | {"runAfter": {}}
    return json.dumps(document)


async def test_a_flow_that_calls_itself_by_url_retires() -> None:
    """Its copy calls the copy, or the original would never fall quiet."""
    story = Story()
    orders = story.build.http_flow("Orders")
    url = story.build.url_of(orders)
    orders.client_data = with_call(orders, url)
    await planned(story)

    await story.approve()

    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)
    assert url not in story.world.workflow(orders.environment_id, job.copy_id).client_data
    assert story.world.violations == []


async def test_flows_that_call_one_another_by_url_all_retire() -> None:
    """Three in a circle and one that calls into it: nobody waits for ever."""
    story = Story()
    flows = [story.build.http_flow(name) for name in ("A", "B", "C")]
    for flow, called in zip(flows, [*flows[1:], flows[0]], strict=True):
        flow.client_data = with_call(flow, story.build.url_of(called))
    outside = story.build.http_flow("Outside")
    outside.client_data = with_call(outside, story.build.url_of(flows[0]))
    story.build.app_setting_caller(outside)
    await planned(story)

    await story.approve(run=timedelta(days=90))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
        (job.display_name, job.state, job.reason) for job in jobs.values()
    ]
    story.world.traffic.beat(story.world)
    assert story.world.traffic.lost == []


async def test_a_circle_of_calls_by_url_is_rolled_back() -> None:
    """Each one is as it was, byte for byte."""
    story = Story()
    first, second = story.build.http_flow("A"), story.build.http_flow("B")
    first.client_data = with_call(first, story.build.url_of(second))
    second.client_data = with_call(second, story.build.url_of(first))
    story.build.app_setting_caller(story.build.http_flow("C"))
    await planned(story)
    before = take_snapshot(story.world)
    await story.approve(run=timedelta(days=90))

    await story.roll_back(run=timedelta(days=90))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, [
        (job.display_name, job.state, job.reason) for job in jobs.values()
    ]
    assert differences(before, story.world) == []


async def test_a_caller_by_url_takes_what_it_calls_back_with_it() -> None:
    """Rolled back alone it would call an original that is off."""
    story = Story()
    called, caller = story.build.http_flow("Called"), story.build.http_flow("Caller")
    caller.client_data = with_call(caller, story.build.url_of(called))
    story.build.app_setting_caller(caller)
    await planned(story)
    before = take_snapshot(story.world)
    await story.approve(run=timedelta(days=90))

    await story.roll_back(caller.workflow_id, run=timedelta(days=90))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}
    assert differences(before, story.world) == []
    assert_nothing_lost(story)


async def test_a_flow_that_is_called_by_url_retires_as_soon_as_its_caller_has() -> None:
    """Its caller knows no child: it is told who waits, and wakes that one."""
    story = Story()
    orders, sales = story.build.http_flow("Orders"), story.build.http_flow("Sales")
    sales.client_data = with_call(sales, story.build.url_of(orders))
    story.build.app_setting_caller(sales)
    await planned(story)
    await story.approve(run=timedelta(days=3))
    now = story.world.clock.now()
    sales.runs.append(TwinRun(run_id="late", started=now, ends=now))  # that one takes longer
    await story.run(timedelta(days=5))
    assert (await story.job("Orders")).reason == "Sales retires first."

    await story.run(timedelta(days=30))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    ends = {title: job.history[-1].at for title, job in jobs.items()}
    assert ends["Orders"] - ends["Sales"] < timedelta(minutes=1)


async def test_two_that_begin_to_wait_for_one_another_at_once_retire() -> None:
    """Each looks before the other waits: who ends last wakes the other, and goes on after it."""
    story = Story()
    flows = [story.build.http_flow(name) for name in ("A", "B")]
    for flow, called in zip(flows, reversed(flows), strict=True):
        flow.client_data = with_call(flow, story.build.url_of(called))
    await planned(story)
    await story.approve(run=timedelta(hours=1))
    one, other = await story.job("A"), await story.job("B")
    assert one.due is not None
    assert other.due is not None
    story.world.clock.advance(max(one.due, other.due) - story.services.now)

    async def meanwhile() -> None:
        await run_flow_job_step(story.services, other.environment_id, other.id)
        assert (await story.job("B")).reason == "A retires first."

    store = Meanwhile(story.services.tables.store, other.id, meanwhile)
    services = replace(story.services, tables=Tables(cast("Any", store)))
    await run_flow_job_step(services, one.environment_id, one.id)
    assert (await story.job("A")).reason == "B retires first."
    await story.run(timedelta(hours=1))

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    story.world.traffic.beat(story.world)
    assert story.world.traffic.lost == []
