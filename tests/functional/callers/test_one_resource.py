"""Flows whose URLs are in one resource share one write and are rolled back separately."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.domain.environment import ApprovalPolicy, Environment, EnvironmentSettings
from shared.domain.flow import FlowState, WorkflowDraft
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import InternalErrorRepeated, MustWait, PlatformError, ThrottledError
from shared.jobs.job_kinds import FLOW
from shared.ports import Operation, StoreRow
from shared.reason import Reason
from shared.rows import FENCE
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.clock import START
from tests.fakes.crash import Plan
from tests.fakes.definitions import lineage_of
from tests.fakes.invariants import signatures_in_store
from tests.fakes.services import fake_settings, services_of
from tests.fakes.snapshot import differences, take_snapshot
from tests.fakes.tenant import FakeFlow, FakeSite
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.remediation_scenario import planned as planned_without_runs
from tests.functional.scenarios.two_environments import TwoEnvironments
from tests.functional.scenarios.watched_scenario import assert_nothing_lost, planned
from tests.kinds.cases import MOVED_KINDS, caller_case

FLOWS = 10
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
#: Copies are proven some seconds after they stand.
PROMPT = fake_settings().model_copy(
    update={"read_lag": timedelta(0), "wait_poll_interval": timedelta(seconds=10)}
)


def add_app(scenario: Scenario, count: int = FLOWS) -> tuple[FakeSite, list[FakeFlow]]:
    """Add an app whose settings hold the URLs of this number of flows."""
    flows = [scenario.build.http_flow(f"Flow {number}") for number in range(count)]
    for number, flow in enumerate(flows):
        site = scenario.build.app_setting_caller(flow, setting=f"URL_{number}")
    return site, flows


def list_changed_settings(before: Mapping[str, str], site: FakeSite) -> set[str]:
    """Return the names of the settings whose value has changed."""
    return {name for name, value in before.items() if site.settings[name] != value}


async def list_steps(scenario: Scenario) -> set[FlowJobState]:
    """Return the steps that the jobs have reached."""
    return {job.step for job in (await scenario.jobs()).values()}


async def test_app_that_calls_many_flows_restarts_once() -> None:
    """The last job writes the callers of all flows, and each job then continues separately."""
    scenario = Scenario(settings=PROMPT)
    site, _ = add_app(scenario)
    before = dict(site.settings)
    await planned(scenario)

    await scenario.approve(run=DAY)
    moving = (site.restarts, list_changed_settings(before, site), await list_steps(scenario))
    await scenario.run(60 * DAY)

    assert moving == (1, {*before}, {FlowJobState.CHECKING_FOR_CALLS})
    assert await list_steps(scenario) == {FlowJobState.RETIRED}
    assert signatures_in_store(scenario.world, scenario.fakes.store) == []
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
    """When the fourth flow stops, the callers of the three waiting flows are written at once."""
    scenario = Scenario(
        settings=PROMPT.model_copy(update={"caller_batch_wait": timedelta(minutes=30)})
    )
    site, flows = add_app(scenario, 4)
    await (planned if are_known else planned_without_runs)(scenario)
    late = Late(scenario, NOT_YET, flows[-1])
    await scenario.approve(run=4 * MINUTE)
    jobs = await scenario.jobs()
    waiting = {(jobs[flow.name].step, jobs[flow.name].reason_code) for flow in flows[:-1]}
    assert (waiting, site.restarts) == (
        {(FlowJobState.UPDATING_CALLERS, Reason.BATCHING_CALLER_WRITES)},
        0,
    )

    if failure := LEAVES[how]:
        late.fails(failure, flows[-1])
    else:
        await scenario.roll_back(flows[-1].workflow_id, run=timedelta(0))
    await scenario.run(5 * MINUTE)

    assert site.restarts == 1
    assert [job.step for job in (await scenario.jobs()).values()].count(
        FlowJobState.CHECKING_FOR_CALLS
    ) == 3


async def test_jobs_wait_for_an_app_with_several_unmatched_urls() -> None:
    """If no run shows whose URLs an app holds, its jobs wait, but not for a single URL."""
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    alone = scenario.build.app_setting_caller(scenario.build.http_flow("Alone"), site="alone")
    await planned_without_runs(scenario)
    late = Late(scenario, NOT_YET, flows[-1])

    await scenario.approve(run=2 * MINUTE)
    waiting = (site.restarts, alone.restarts)
    late.comes(flows[-1])
    await scenario.run(MINUTE)

    assert waiting == (0, 1)
    assert site.restarts == 1


@pytest.mark.parametrize("kind", MOVED_KINDS)
async def test_caller_of_several_flows_is_written_once(kind: str) -> None:
    """Each resource is written once, and rollbacks in any order restore it exactly."""
    scenario = Scenario(settings=PROMPT)
    flows = [scenario.build.http_flow(f"Flow {number}") for number in range(3)]
    caller_case(kind).add(scenario.build, *flows)
    await planned(scenario)
    before = take_snapshot(scenario.world)
    callers = {flow.workflow_id for flow in scenario.world.flows()} - {
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
    assert differences(before, scenario.world) == []


async def test_rollback_of_one_flow_changes_only_its_setting() -> None:
    """Only the setting of the flow that is rolled back changes."""
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    before = dict(site.settings)
    await planned(scenario)
    await scenario.approve(run=DAY)

    await scenario.roll_back(flows[1].workflow_id)

    assert list_changed_settings(before, site) == {"URL_0", "URL_2"}
    list_steps = {title: job.state for title, job in (await scenario.jobs()).items()}
    assert list_steps == {
        "Flow 0": FlowJobState.RETIRED,
        "Flow 1": FlowJobState.ROLLED_BACK,
        "Flow 2": FlowJobState.RETIRED,
    }
    assert_nothing_lost(scenario)


class Late:
    """A workflows port that cannot copy some flows until the test allows it."""

    def __init__(self, scenario: Scenario, failure: Exception, *flows: FakeFlow) -> None:
        """Let the copies of these flows fail with this error."""
        self._port = scenario.fakes.ports.workflows
        self._failures: dict[str | None, Exception] = {}
        self.fails(failure, *flows)
        scenario.around = lambda ports: replace(ports, workflows=cast("Any", self))
        scenario.renew()

    def __getattr__(self, name: str) -> Any:
        """Return the port's own attribute."""
        return getattr(self._port, name)

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        """Create the workflow, or raise the error set for its flow."""
        failure = self._failures.get(lineage_of(draft.client_data))
        if failure:
            raise failure
        await self._port.create(environment, draft)

    def fails(self, failure: Exception, *flows: FakeFlow) -> None:
        """Let copies of these flows fail with this error from now on."""
        self._failures |= {lineage_of(flow.client_data): failure for flow in flows}

    def comes(self, *flows: FakeFlow) -> None:
        """Let these flows be copied from now on."""
        for flow in flows:
            del self._failures[lineage_of(flow.client_data)]


NOT_YET = ThrottledError("not yet", retry_after=MINUTE / 2)


async def run_until_waiting_for_last(
    scenario: Scenario, count: int = 3
) -> tuple[FakeSite, list[FakeFlow], Late]:
    """Run until all flows of an app but the last wait for the last one."""
    site, flows = add_app(scenario, count)
    await planned(scenario)
    late = Late(scenario, NOT_YET, flows[-1])
    await scenario.approve(run=2 * MINUTE)
    codes = Counter(job.reason_code for job in (await scenario.jobs()).values())
    assert codes == {Reason.BATCHING_CALLER_WRITES: count - 1, Reason.THROTTLED: 1}
    return site, flows, late


async def test_jobs_write_without_a_late_flow_after_the_batch_wait() -> None:
    """After five minutes, the app writes without the late flow.

    The late flow's job writes later.
    """
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    await scenario.run(4 * MINUTE)
    early = (site.restarts, list_changed_settings(before, site))
    late.comes(flows[-1])
    await scenario.run(DAY)

    assert early == (1, {"URL_0", "URL_1"})
    assert (site.restarts, list_changed_settings(before, site)) == (2, {"URL_0", "URL_1", "URL_2"})
    assert_nothing_lost(scenario)


async def test_flow_that_is_copied_in_time_is_part_of_the_batched_write() -> None:
    """When the last flow is copied in time, the app writes once, for all flows."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    late.comes(flows[-1])
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_0", "URL_1", "URL_2"})


async def test_jobs_do_not_wait_for_a_job_with_a_later_check() -> None:
    """The other jobs do not wait for a job whose next check is later than their wait may last."""
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    await planned(scenario)
    Late(scenario, ThrottledError("not yet", retry_after=20 * MINUTE), flows[-1])

    await scenario.approve(run=MINUTE)

    assert site.restarts == 1


async def test_jobs_write_at_once_if_the_batch_wait_is_zero() -> None:
    """With caller_batch_wait zero, the app writes for the jobs that are ready at once."""
    scenario = Scenario(settings=PROMPT.model_copy(update={"caller_batch_wait": timedelta(0)}))
    site, flows = add_app(scenario, 3)
    before = dict(site.settings)
    await planned(scenario)
    Late(scenario, NOT_YET, flows[-1])

    await scenario.approve(run=MINUTE / 4)

    assert list_changed_settings(before, site) == {"URL_0", "URL_1"}


async def test_jobs_do_not_wait_for_a_blocked_job() -> None:
    """The other jobs do not wait for a blocked job."""
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    await planned(scenario)
    late = Late(scenario, NOT_YET, *flows)
    await scenario.approve(run=MINUTE)
    late.fails(PlatformError("no", code="0x1", status=400), flows[0])
    await scenario.run(MINUTE)
    assert (await scenario.job("Flow 0")).state is FlowJobState.BLOCKED

    late.comes(*flows[1:])
    await scenario.run(MINUTE)

    assert site.restarts == 1


async def exclude_flow(scenario: Scenario, flow: FakeFlow) -> None:
    """Exclude a flow, as an administrator does."""
    settings = EnvironmentSettings(
        environment_id=scenario.build.environment.id,
        approval_policy=ApprovalPolicy.REQUIRED,
        excluded_flows=frozenset({flow.workflow_id}),
    )
    await scenario.services.tables.environment_settings.upsert(settings)


async def test_flow_excluded_while_it_waits_is_not_part_of_the_write() -> None:
    """The app writes for the other flows, and the caller of the excluded flow is unchanged."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    await exclude_flow(scenario, flows[0])

    late.comes(flows[-1])
    await scenario.run(DAY)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    assert (await scenario.job("Flow 0")).reason_code == Reason.FLOW_EXCLUDED


async def test_flow_whose_copy_is_off_is_not_part_of_the_write() -> None:
    """The app writes for the other flows, and no caller gets the URL of a copy that is off."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    job = await scenario.job("Flow 0")
    scenario.world.workflow(job.environment_id, job.copy_id).state = FlowState.OFF

    late.comes(flows[-1])
    await scenario.run(DAY)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    assert (await scenario.job("Flow 0")).reason_code == Reason.FLOW_STATE_NOT_CHANGED


async def test_unreadable_job_row_does_not_block_the_batched_write() -> None:
    """The app writes for the other flows if a newer version of the app wrote the job's row."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    job = await scenario.job("Flow 1")
    (name, row), *_ = (
        (name, row)
        for name, row in scenario.fakes.store.rows.items()
        if (row.table, row.key) == ("flowjobs", job.id)
    )
    data = str(row.columns["data0"]).replace('"state":"waiting"', '"state":"levitating"')
    scenario.fakes.store.rows[name] = replace(row, columns={**row.columns, "data0": data})

    late.comes(flows[-1])
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_0", "URL_2"})


@pytest.mark.parametrize("is_late", [False, True])
async def test_rollback_removes_a_flow_from_the_batched_write(*, is_late: bool) -> None:
    """A rollback excludes a flow while its job waits, and while another job is about to write."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    async def roll_back() -> object:
        order, flow = scenario.remediation.id, flows[0].workflow_id
        return await change_remediation.roll_back(scenario.services, order, (flow,))

    if is_late:
        disturb(scenario, "app_settings", "read", roll_back)
    else:
        await roll_back()
    late.comes(flows[-1])
    await scenario.run(5 * MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    await scenario.run(60 * DAY)
    assert (await scenario.job("Flow 0")).state is FlowJobState.ROLLED_BACK
    assert site.restarts == 1
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("is_later", [False, True])
async def test_kill_switch_stops_the_batched_write(is_later: bool) -> None:
    """The switch stops the write also after the app has recorded what it will write."""
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)

    async def stop(*, is_on: bool = True) -> object:
        return await set_kill_switch(scenario.services, is_on=is_on, by="tests", reason="now")

    if is_later:  # its own intents are noted, and those of one of the others
        write, jobs = scenario.fakes.store.write, set[str]()

        async def written(*operations: Operation) -> list[StoreRow]:
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

        scenario.fakes.store.write = written  # type: ignore[method-assign]
    else:
        disturb(scenario, "app_settings", "read", stop)
    late.comes(flows[-1])
    await scenario.run(30 * MINUTE)
    stopped = (site.restarts, await list_steps(scenario))
    await stop(is_on=False)
    await scenario.run(DAY)

    assert stopped == (0, {FlowJobState.UPDATING_CALLERS})
    assert (site.restarts, await list_steps(scenario)) == (1, {FlowJobState.CHECKING_FOR_CALLS})


async def test_jobs_write_separately_if_the_batched_write_is_rejected() -> None:
    """If the platform rejects the common write, each job writes alone, and one is blocked."""
    scenario = Scenario(settings=PROMPT)
    site, _ = add_app(scenario, 4)
    before = dict(site.settings)

    class Refusing:
        """An app that rejects another value of one setting."""

        read = scenario.fakes.ports.app_settings.read
        read_sites = scenario.fakes.ports.app_settings.read_sites

        async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
            """Reject the changed setting; otherwise write."""
            if settings["URL_2"] != before["URL_2"]:
                raise PlatformError("too long", code="BadRequest", status=400)
            await scenario.fakes.ports.app_settings.write(site_id, settings)

    scenario.around = lambda ports: replace(ports, app_settings=cast("Any", Refusing()))
    await planned(scenario)

    await scenario.approve(run=DAY)

    jobs = await scenario.jobs()
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
    """The app does not write the caller of a flow whose environment is read-only by then."""
    scenario = TwoEnvironments(settings=PROMPT)
    here = scenario.build.http_flow("Here")
    site = scenario.build.app_setting_caller(here, setting="HERE")
    there = scenario.other.http_flow("There")
    scenario.other.app_setting_caller(there, setting="THERE")
    before = dict(site.settings)
    scenario.prepare()
    await scenario.opt_in_both()
    scenario.world.traffic.beat(scenario.world)
    late = Late(scenario, NOT_YET, here, there)
    await scenario.order_of(*scenario.builders, run=MINUTE)
    late.comes(there)
    await scenario.run(MINUTE)
    assert (await scenario.everywhere())["There"].reason_code == Reason.BATCHING_CALLER_WRITES
    row = EnvironmentSettings(environment_id=scenario.other.environment.id, approval_policy=mode)
    await scenario.services.tables.environment_settings.upsert(row)

    late.comes(here)
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, written)


async def test_jobs_ready_at_the_same_moment_write_once() -> None:
    """When two invocations become ready at once, one takes the resource and writes for both."""
    scenario = Scenario(settings=PROMPT)
    site, flows, _ = await run_until_waiting_for_last(scenario)
    order = scenario.remediation.id
    await change_remediation.roll_back(scenario.services, order, (flows[-1].workflow_id,))
    places = [(job.environment_id, job.id) for job in (await scenario.jobs()).values()]

    def services() -> Services:
        # Under a plan each call lets the other delivery run.
        return services_of(scenario.fakes.ports.under(Plan()), settings=scenario.settings)

    for place in places:
        await FLOW.wake_up(scenario.services, place, code=Reason.BATCHING_CALLER_WRITES)
    await asyncio.gather(*(run_flow_job_step(services(), *place) for place in places))

    assert site.restarts == 1
    assert site.settings["URL_0"] != scenario.build.url_of(flows[0])
    assert site.settings["URL_1"] != scenario.build.url_of(flows[1])
