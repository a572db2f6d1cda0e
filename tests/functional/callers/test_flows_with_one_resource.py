"""Test that flows whose URLs are in one resource share a write and are rolled back separately."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import InternalErrorRepeated, MustWait, PlatformError
from shared.jobs.job_kinds import FLOW
from shared.ports import Operation, StoreRow
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import FENCE
from shared.use_cases import change_remediation
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.clock import START
from tests.fakes.crash import Plan
from tests.fakes.invariants import find_signatures_in_store
from tests.fakes.services import build_fake_services
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.callers.shared_app import (
    DAY,
    MINUTE,
    NOT_YET,
    PROMPT,
    LateCopies,
    add_app,
    list_changed_settings,
    list_steps,
    run_until_waiting_for_last,
)
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.remediation_scenario import plan_remediation as planned_without_runs
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation
from tests.functional.scenarios.two_environments import TwoEnvironments
from tests.kinds.cases import MOVED_KINDS, load_caller_case


async def test_app_that_calls_many_flows_restarts_once() -> None:
    scenario = Scenario(settings=PROMPT)
    site, _ = add_app(scenario)
    before = dict(site.settings)
    await plan_remediation(scenario)

    await scenario.approve(run=DAY)
    moving = (site.restarts, list_changed_settings(before, site), await list_steps(scenario))
    await scenario.run(60 * DAY)

    assert moving == (1, {*before}, {FlowJobState.CHECKING_FOR_CALLS})
    assert await list_steps(scenario) == {FlowJobState.RETIRED}
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


#: How a flow stops before it comes to its callers; None: it is ordered back.
LEAVES = {
    "blocks": PlatformError("No.", code="x", status=400),
    "fails": InternalErrorRepeated("A defect of ours."),
    "sleeps for long": MustWait("Not now.", until=START + 9 * DAY, code=Reason.SERVICE_OUTAGE),
    "is ordered back": None,
}


@pytest.mark.parametrize("how", LEAVES)
@pytest.mark.parametrize("are_known", [True, False])
async def test_callers_are_written_when_the_awaited_flow_stops(
    how: str, *, are_known: bool
) -> None:
    scenario = Scenario(
        settings=PROMPT.model_copy(update={"caller_batch_wait": timedelta(minutes=30)})
    )
    site, flows = add_app(scenario, 4)
    await (plan_remediation if are_known else planned_without_runs)(scenario)
    late = LateCopies(scenario, NOT_YET, flows[-1])
    await scenario.approve(run=4 * MINUTE)
    jobs = await scenario.read_jobs()
    waiting = {(jobs[flow.name].step, jobs[flow.name].reason_code) for flow in flows[:-1]}
    assert (waiting, site.restarts) == (
        {(FlowJobState.UPDATING_CALLERS, Reason.BATCHING_CALLER_WRITES)},
        0,
    )

    if failure := LEAVES[how]:
        late.fail_copies(failure, flows[-1])
    else:
        await scenario.roll_back(flows[-1].workflow_id, run=timedelta(0))
    await scenario.run(5 * MINUTE)

    assert site.restarts == 1
    assert [job.step for job in (await scenario.read_jobs()).values()].count(
        FlowJobState.CHECKING_FOR_CALLS
    ) == 3


async def test_jobs_wait_for_an_app_with_several_unmatched_urls() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    alone = scenario.build.add_app_setting_caller(
        scenario.build.add_http_flow("Alone"), site="alone"
    )
    await planned_without_runs(scenario)
    late = LateCopies(scenario, NOT_YET, flows[-1])

    await scenario.approve(run=2 * MINUTE)
    waiting = (site.restarts, alone.restarts)
    late.allow_copies(flows[-1])
    await scenario.run(MINUTE)

    assert waiting == (0, 1)
    assert site.restarts == 1


@pytest.mark.parametrize("kind", MOVED_KINDS)
async def test_caller_of_several_flows_is_written_once(kind: str) -> None:
    scenario = Scenario(settings=PROMPT)
    flows = [scenario.build.add_http_flow(f"Flow {number}") for number in range(3)]
    load_caller_case(kind).add(scenario.build, *flows)
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    callers = {flow.workflow_id for flow in scenario.world.list_flows()} - {
        flow.workflow_id for flow in flows
    }

    await scenario.approve(run=DAY)
    written = Counter(
        write.target
        for write in scenario.world.writes
        if write.what
        in {
            "write app settings",
            "write connection strings",
            "write secret",
            "write variable",
            "write artifact",
            "write resource",
            "write document",
            "write key-value",
            "write row",
            "write file",
        }
        or (kind == "flow" and write.what == "update workflow" and write.target in callers)
    )
    assert_nothing_lost(scenario)
    for flow in (flows[1], flows[2], flows[0]):
        await scenario.roll_back(flow.workflow_id, run=DAY)
        assert_nothing_lost(scenario)
    await scenario.run(60 * DAY)

    assert {*written.values()} == {1}
    assert await list_steps(scenario) == {FlowJobState.ROLLED_BACK}
    assert find_differences(before, scenario.world) == []


async def test_rollback_of_one_flow_changes_only_its_setting() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    before = dict(site.settings)
    await plan_remediation(scenario)
    await scenario.approve(run=DAY)

    await scenario.roll_back(flows[1].workflow_id)

    assert list_changed_settings(before, site) == {"URL_0", "URL_2"}
    list_steps = {title: job.state for title, job in (await scenario.read_jobs()).items()}
    assert list_steps == {
        "Flow 0": FlowJobState.RETIRED,
        "Flow 1": FlowJobState.ROLLED_BACK,
        "Flow 2": FlowJobState.RETIRED,
    }
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("is_later", [False, True])
async def test_kill_switch_stops_the_batched_write(is_later: bool) -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)

    async def stop(*, is_on: bool = True) -> object:
        return await set_kill_switch(scenario.services, is_on=is_on, by="tests", reason="now")

    if is_later:  # its own intents are noted, and those of one of the others
        write, jobs = scenario.fakes.store.write, set[str]()

        async def write_then_stop(*operations: Operation) -> list[StoreRow]:
            rows = await write(*operations)
            jobs.update(
                row.partition
                for row in rows
                if row.table == "callereditintents" and row.key != FENCE
            )
            if len(jobs) == 2:
                jobs.clear()
                scenario.fakes.store.write = write  # type: ignore[method-assign]
                await stop()
            return rows

        scenario.fakes.store.write = write_then_stop  # type: ignore[method-assign]
    else:
        disturb(scenario, "app_settings", "read", stop)
    late.allow_copies(flows[-1])
    await scenario.run(30 * MINUTE)
    stopped = (site.restarts, await list_steps(scenario))
    await stop(is_on=False)
    await scenario.run(DAY)

    assert stopped == (0, {FlowJobState.UPDATING_CALLERS})
    assert (site.restarts, await list_steps(scenario)) == (1, {FlowJobState.CHECKING_FOR_CALLS})


async def test_jobs_write_separately_if_the_batched_write_is_rejected() -> None:
    scenario = Scenario(settings=PROMPT)
    site, _ = add_app(scenario, 4)
    before = dict(site.settings)

    class RejectingApp:
        read = scenario.fakes.ports.app_settings.read
        read_sites = scenario.fakes.ports.app_settings.read_sites

        async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
            if settings["URL_2"] != before["URL_2"]:
                raise PlatformError("too long", code="BadRequest", status=400)
            await scenario.fakes.ports.app_settings.write(site_id, settings)

    scenario.around = lambda ports: replace(ports, app_settings=cast("Any", RejectingApp()))
    await plan_remediation(scenario)

    await scenario.approve(run=DAY)

    jobs = await scenario.read_jobs()
    assert list_changed_settings(before, site) == {"URL_0", "URL_1", "URL_3"}
    assert {title for title, job in jobs.items() if job.needs_action} == {"Flow 2"}
    assert "setting URL_2 of the app" in jobs["Flow 2"].message
    assert_nothing_lost(scenario)


@pytest.mark.parametrize(
    ("mode", "written"),
    [(ApprovalPolicy.AUTOMATIC, {"HERE", "THERE"}), (ApprovalPolicy.READ_ONLY, {"HERE"})],
)
async def test_batched_write_omits_a_flow_of_a_read_only_environment(
    mode: ApprovalPolicy, written: set[str]
) -> None:
    scenario = TwoEnvironments(settings=PROMPT)
    here = scenario.build.add_http_flow("Here")
    site = scenario.build.add_app_setting_caller(here, setting="HERE")
    there = scenario.other.add_http_flow("There")
    scenario.other.add_app_setting_caller(there, setting="THERE")
    before = dict(site.settings)
    scenario.prepare()
    await scenario.opt_in_both()
    scenario.world.traffic.beat(scenario.world)
    late = LateCopies(scenario, NOT_YET, here, there)
    await scenario.start_remediation_of(*scenario.builders, run=MINUTE)
    late.allow_copies(there)
    await scenario.run(MINUTE)
    assert (await scenario.read_all_jobs())["There"].reason_code == Reason.BATCHING_CALLER_WRITES
    await scenario.set_approval_policy(mode, scenario.other.environment.id)

    late.allow_copies(here)
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, written)


async def test_jobs_ready_at_the_same_moment_write_once() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, _ = await run_until_waiting_for_last(scenario)
    order = scenario.remediation.id
    await change_remediation.roll_back(scenario.services, order, (flows[-1].workflow_id,))
    places = [(job.environment_id, job.id) for job in (await scenario.read_jobs()).values()]

    def build_services() -> Services:
        # Under a plan each call lets the other delivery run.
        return build_fake_services(
            scenario.fakes.ports.wrap_with_plan(Plan()), settings=scenario.settings
        )

    for place in places:
        await FLOW.wake_up(scenario.services, place, code=Reason.BATCHING_CALLER_WRITES)
    await asyncio.gather(*(run_flow_job_step(build_services(), *place) for place in places))

    assert site.restarts == 1
    assert site.settings["URL_0"] != scenario.build.get_trigger_url(flows[0])
    assert site.settings["URL_1"] != scenario.build.get_trigger_url(flows[1])
