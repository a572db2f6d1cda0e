from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.callers.call_headers import CallerSource
from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.callers.observed_caller import ObservedCall, ObservedCallers
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import list_pending_flow_actions
from shared.errors import PlatformError, ThrottledError
from shared.reason import Reason
from shared.steps.flows.observed_callers import MOST_READ
from shared.use_cases.change_environment import change_environment
from shared.use_cases.confirm_caller import confirm_caller
from shared.use_cases.declare_callers import declare_callers
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_flow import show_flow
from tests.fakes.flow_reports import FakeFlowReports
from tests.fakes.run_jobs import run_flow
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)
CURL = {"User-Agent": "curl/8.5.0", "X-Forwarded-For": "203.0.113.7, 10.0.0.1"}
SECRET = "c2VjcmV0LXNpZ25hdHVyZS0xMjM0NTY3ODkw"


async def build_no_call_scenario(
    *more: str, observe_callers: bool = True
) -> tuple[Scenario, FakeFlow]:
    """Return a scenario in its no-call period, and its original Orders. `more` names more flows."""
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    for name in more:
        scenario.build.add_http_flow(name)
    scenario.build.apply_key()
    await scenario.start_remediation(observe_callers=observe_callers)
    await scenario.approve(run=timedelta(hours=3))
    assert (await scenario.read_job("Orders")).step is FlowJobState.CHECKING_FOR_CALLS
    return scenario, flow


def call_original(
    scenario: Scenario, flow: FakeFlow, headers: dict[str, str], times: int = 1
) -> None:
    """Let a system call the original with these headers, once a minute."""
    for _ in range(times):
        run_flow(scenario.world, flow).headers = headers
        scenario.world.clock.advance(timedelta(minutes=1))


async def pass_a_day(scenario: Scenario) -> FlowJob:
    """Let a day pass, run the daily check, and return the job of Orders."""
    await scenario.run(DAY)
    await scenario.driver.call(lambda services: run_daily_check(services, "day"))
    await scenario.run(timedelta(minutes=30))
    return await scenario.read_job("Orders")


async def read_row(scenario: Scenario) -> ObservedCallers | None:
    job = await scenario.read_job("Orders")
    kept = await scenario.services.tables.observed_callers.get(job.environment_id, job.id)
    return kept.item if kept else None


async def test_unknown_caller_is_named_on_the_next_day() -> None:
    scenario, flow = await build_no_call_scenario()
    await scenario.run(DAY)
    began = scenario.world.clock.now()
    call_original(scenario, flow, CURL, times=3)

    job = await pass_a_day(scenario)

    assert job.reason_code == Reason.LATE_CALLER
    assert job.fix == "Give the caller the copy's URL."
    assert (
        f"Unknown caller, 3 calls since {began:%Y-%m-%d %H:%M} UTC, "
        "claims to be curl/8.5 from 203.0.113.0/24." in job.message
    )
    shown = (await show_flow(scenario.services, scenario.remediation.id, "Orders")).observed_callers
    assert shown
    [caller] = shown.callers
    assert (caller.label, caller.claims, caller.is_known, caller.call_count) == (
        "unknown caller",
        "curl/8.5 from 203.0.113.0/24",
        False,
        3,
    )
    assert caller.last_at - caller.first_at == timedelta(minutes=2)


async def test_calls_are_counted_once() -> None:
    scenario, flow = await build_no_call_scenario()
    for _ in range(3):
        call_original(scenario, flow, CURL, times=2)
        await pass_a_day(scenario)

    row = await read_row(scenario)

    assert row
    assert [one.call_count for one in row.callers] == [6]


async def test_nothing_is_read_without_permission() -> None:
    scenario, flow = await build_no_call_scenario(observe_callers=False)
    await scenario.run(DAY)
    call_original(scenario, flow, CURL)

    await pass_a_day(scenario)
    await scenario.run(timedelta(days=5, hours=12))

    job = await scenario.read_job("Orders")
    assert await read_row(scenario) is None
    assert job.reason_code == Reason.LATE_CALLER
    assert "curl" not in job.message
    command = f"cmkflow environment set {job.environment_id} --observe-callers"
    assert job.fix == Reason.LATE_CALLER.fix.replace(
        "cmkflow environment set ENVIRONMENT --observe-callers", command
    )
    [action] = list_pending_flow_actions([job], {})
    assert command in action.fix


async def test_callers_are_deleted_when_the_permission_is_withdrawn() -> None:
    scenario, flow = await build_no_call_scenario()
    call_original(scenario, flow, CURL)
    await pass_a_day(scenario)
    assert await read_row(scenario)

    await change_environment(
        scenario.services, scenario.build.environment.id, {"observe_callers": False}
    )
    call_original(scenario, flow, CURL)
    await pass_a_day(scenario)

    assert await read_row(scenario) is None


async def test_check_reads_only_the_newest_calls() -> None:
    scenario, flow = await build_no_call_scenario()
    call_original(scenario, flow, {"User-Agent": "Java/17"}, times=5)
    call_original(scenario, flow, CURL, times=MOST_READ)

    await pass_a_day(scenario)

    row = await read_row(scenario)
    assert row
    assert {one.traits.source: one.call_count for one in row.callers} == {
        CallerSource.NOT_READ: 5,
        CallerSource.OTHER: MOST_READ,
    }
    assert next(one for one in row.callers if one.is_identified).traits.user_agent == "curl/8.5"


async def test_used_up_budget_counts_no_call_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, flow = await build_no_call_scenario()
    call_original(scenario, flow, CURL, times=4)
    whole = FakeFlowReports.read_calls

    async def read_calls(
        self: FakeFlowReports, environment_id: str, flow_name: str, *, since: datetime, limit: int
    ) -> AsyncGenerator[ObservedCall]:
        calls = [
            one async for one in whole(self, environment_id, flow_name, since=since, limit=limit)
        ]
        for one in calls[:2]:
            yield one
        raise ThrottledError

    with monkeypatch.context() as patched:
        patched.setattr(FakeFlowReports, "read_calls", read_calls)
        await scenario.driver.call(lambda services: run_daily_check(services, "day"))
    row = await read_row(scenario)
    assert row
    assert [one.call_count for one in row.callers] == [2]

    await pass_a_day(scenario)

    row = await read_row(scenario)
    assert row
    assert [one.call_count for one in row.callers] == [4]


async def test_rejected_read_of_an_original_affects_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, rejected = await build_no_call_scenario("Invoices")
    [other] = [one for one in scenario.world.list_flows() if one.name == "Invoices"]
    whole = FakeFlowReports.read_calls

    def read_calls(
        self: FakeFlowReports, environment_id: str, flow_name: str, *, since: datetime, limit: int
    ) -> AsyncGenerator[ObservedCall]:
        if flow_name == rejected.flow_name:
            raise PlatformError("no", code="Forbidden", status=403)
        return whole(self, environment_id, flow_name, since=since, limit=limit)

    monkeypatch.setattr(FakeFlowReports, "read_calls", read_calls)
    for day in (1, 2):
        call_original(scenario, other, CURL)
        await scenario.driver.call(lambda services: run_daily_check(services, "day"))
        [row] = await scenario.services.tables.observed_callers.read_all()
        assert [one.call_count for one in row.callers] == [day]
        scenario.world.clock.advance(DAY)


async def test_calls_of_known_flows_have_their_names() -> None:
    scenario, flow = await build_no_call_scenario()
    job = await scenario.read_job("Orders")
    group = f"{'0' * 32}-{'1' * 32}"
    headers = {
        "x-ms-workflow-id": "a" * 32,
        "x-ms-workflow-name": job.copy.id,
        "x-ms-workflow-resourcegroup-name": group,
    }
    call_original(scenario, flow, headers)
    call_original(scenario, flow, {})

    await pass_a_day(scenario)

    shown = (await show_flow(scenario.services, scenario.remediation.id, "Orders")).observed_callers
    assert shown
    assert [one.label for one in shown.callers] == [
        "unknown caller: flow the copy of Orders",
        "caller not shown by the platform",
    ]


async def test_calls_that_were_not_answered_do_not_extend_the_no_call_period() -> None:
    """A skipped run started no action, so its call was not served."""
    scenario, flow = await build_no_call_scenario()
    await scenario.run(5 * DAY)
    run_flow(scenario.world, flow).is_skipped = True
    await scenario.run(3 * DAY)

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert await read_row(scenario) is None


async def test_answered_calls_extend_the_no_call_period() -> None:
    scenario, flow = await build_no_call_scenario()
    await scenario.run(5 * DAY)
    run_flow(scenario.world, flow)
    await scenario.run(3 * DAY)

    assert (await scenario.read_job("Orders")).reason_code == Reason.LATE_CALLER


async def test_headers_of_a_call_are_not_stored() -> None:
    """A caller's headers may contain its own secrets, or the trigger URL."""
    scenario, flow = await build_no_call_scenario()
    call_original(
        scenario,
        flow,
        {
            "Authorization": f"Bearer {SECRET}",
            "Cookie": f"session={SECRET}",
            "User-Agent": f"curl/8.5.0 (key={SECRET})",
            "X-Forwarded-For": SECRET,
            "X-Original-Url": f"https://a.example/workflows/x?sig={SECRET}",
        },
    )

    await pass_a_day(scenario)

    assert await read_row(scenario)
    assert SECRET not in str(scenario.fakes.store.rows)


async def test_confirmed_caller_that_still_calls_the_original_is_named() -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    called = CalledFlow(environment_id=flow.environment_id, flow_id="Orders")
    till = DeclaredCaller(
        name="Till",
        owner="Alex",
        contact="+49 30 1234",
        flows=(called,),
        user_agent="Curl",
        networks=("203.0.113.7/32", "2001:db8::/32"),
    )
    await declare_callers(scenario.services, [till])
    scenario.build.apply_key()
    await scenario.start_remediation(observe_callers=True)
    await scenario.approve(run=timedelta(hours=3))
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(timedelta(hours=3))

    call_original(scenario, flow, CURL)
    call_original(scenario, flow, CURL | {"X-Forwarded-For": "198.51.100.1"})
    job = await pass_a_day(scenario)

    shown = (await show_flow(scenario.services, scenario.remediation.id, "Orders")).observed_callers
    assert job.reason_code == Reason.LATE_CALLER
    assert shown
    assert [(one.label, one.is_known) for one in shown.callers] == [
        ("unknown caller", False),
        ("declared caller Till of Alex", True),
    ]


async def test_known_callers_have_their_names() -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Sales")
    resource_id = scenario.build.add_logic_app_caller(flow, name="Hub")
    scenario.build.add_event_grid_caller(flow)
    caller = scenario.build.add_flow_caller(flow, name="Close of day")
    scenario.build.apply_key()
    await scenario.start_remediation(observe_callers=True)
    await scenario.approve(run=timedelta(hours=3))
    _, _, subscription, _, group, *_ = resource_id.split("/")
    call_original(
        scenario,
        flow,
        {
            "x-ms-workflow-id": "b" * 32,
            "x-ms-workflow-name": "Hub",
            "x-ms-workflow-resourcegroup-name": group,
            "x-ms-workflow-subscription-id": subscription,
        },
    )
    call_original(
        scenario,
        flow,
        {
            "x-ms-workflow-id": caller.trigger_url_id,
            "x-ms-workflow-name": caller.workflow_id,
            "x-ms-workflow-resourcegroup-name": f"{'0' * 32}-{'1' * 32}",
        },
    )
    call_original(
        scenario, flow, {"aeg-event-type": "Notification", "aeg-subscription-name": "FLOW0"}
    )

    await scenario.run(DAY)
    await scenario.driver.call(lambda services: run_daily_check(services, "day"))

    shown = (await show_flow(scenario.services, scenario.remediation.id, "Sales")).observed_callers
    assert shown
    assert {one.observed.traits.source for one in shown.callers} == {
        CallerSource.LOGIC_APP,
        CallerSource.FLOW,
        CallerSource.EVENT_GRID,
    }
    assert all(one.is_known for one in shown.callers)
    assert any("Close of day" in one.label for one in shown.callers)
    assert any("hub" in one.label.lower() for one in shown.callers)


async def test_unreadable_row_stops_no_job() -> None:
    scenario, flow = await build_no_call_scenario()
    await scenario.run(DAY)
    call_original(scenario, flow, CURL)
    await pass_a_day(scenario)
    for key, row in scenario.fakes.store.rows.items():
        if row.table == "observedcallers":
            scenario.fakes.store.rows[key] = replace(row, columns={**row.columns, "data0": "{}"})
    call_original(scenario, flow, CURL)

    await pass_a_day(scenario)
    alerts = await scenario.services.tables.alerts.read_all("alert")
    await scenario.run(timedelta(days=5))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.LATE_CALLER)
    assert any(one.row[0] == "observedcallers" for one in alerts)
