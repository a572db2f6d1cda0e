"""Test calls by copies that a firewall denies."""

from datetime import timedelta
from typing import Any

import pytest

from local_cloud.tenant.core.profiles import Profile
from shared.alerts import delete_settled_alerts
from shared.domain.alert import Alert
from shared.domain.flow import FlowRun
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError, ServiceUnavailable
from shared.use_cases.change_environment import ignore_issue
from shared.use_cases.change_remediation import retry
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.fakes.flow_reports import FakeFlowReports
from tests.fakes.run_jobs import run_flow
from tests.fakes.runtime import FakeNotices
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.firewall_scenario import ERP_HOST, build_erp_firewall
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

WEST = "PowerPlatformPlex.WestEurope"
DAY = timedelta(days=1)


@pytest.fixture(params=Profile)
async def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Return a scenario with three flows whose copies are in use. Two copies call one host, the
    third calls another.
    """
    scenario = Scenario(profile=request.param)
    call = {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
    for name in ("Orders", "Invoices"):
        scenario.build.add_http_flow(name, call)
    scenario.build.add_http_flow(
        "Labels", {"Call": define.build_http_action("https://labels.example/")}
    )
    old = ["20.9.0.0/24"]
    tags = {WEST: ["20.1.0.0/24"], "LogicApps": old, "LogicApps.WestEurope": old}
    scenario.world.service_tags = {WEST.lower(): tags[WEST], **tags}
    scenario.world.firewalls = [build_erp_firewall(WEST)]
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=3))
    return scenario


async def find_copy(scenario: Scenario, name: str) -> FakeFlow:
    job = await scenario.read_job(name)
    return scenario.world.get_workflow(job.environment_id, job.copy.id)


async def run_copy(scenario: Scenario, name: str) -> FakeRun:
    run = run_flow(scenario.world, await find_copy(scenario, name))
    scenario.world.clock.advance(timedelta(minutes=1))
    return run


async def run_daily_check_on(scenario: Scenario, days: int) -> None:
    for _ in range(days):
        await run_daily_check(scenario.services, f"{scenario.world.clock.now():%Y-%m-%d}")
        await scenario.run(DAY)


async def read_states(scenario: Scenario) -> dict[str, tuple[FlowJobState, str]]:
    """Return each job's state and reason code by the original's title."""
    return {
        one.display_name: (one.state, one.reason_code)
        for one in (await scenario.read_jobs()).values()
    }


async def test_blocked_call_stops_retirements_for_its_host(
    scenario: Scenario,
) -> None:
    scenario.world.firewalls = [build_erp_firewall()]
    run = await run_copy(scenario, "Orders")
    assert "actively refused it" in run.error

    await run_daily_check_on(scenario, days=20)
    stopped = await read_states(scenario)

    assert (
        stopped["Orders"] == stopped["Invoices"] == (FlowJobState.BLOCKED, "outbound_call_blocked")
    )
    assert stopped["Labels"][0] is FlowJobState.RETIRED
    reason = (await scenario.read_job("Invoices")).message
    assert f"The call of {ERP_HOST} by 'Call' in the copy of Orders was actively refused" in reason
    assert "erp denies addresses of PowerPlatformPlex.WestEurope" in reason
    assert f"[refused_call:{ERP_HOST}]" in reason
    assert [one.reason_code for one in scenario.fakes.notices.told].count(
        "outbound_call_blocked"
    ) == 1


async def test_jobs_continue_after_a_later_call_succeeds(scenario: Scenario) -> None:
    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Orders")
    await run_daily_check_on(scenario, days=20)
    scenario.world.firewalls = [build_erp_firewall(WEST)]
    await run_daily_check_on(scenario, days=2)
    waiting = await read_states(scenario)
    await run_copy(scenario, "Orders")
    await run_daily_check_on(scenario, days=2)
    await delete_settled_alerts(scenario.services)

    assert waiting["Invoices"] == (FlowJobState.BLOCKED, "outbound_call_blocked")
    assert {state for state, _ in (await read_states(scenario)).values()} == {FlowJobState.RETIRED}
    assert await scenario.services.tables.alerts.read_all("alert") == []


async def test_successful_call_does_not_resolve_a_known_firewall_issue(scenario: Scenario) -> None:
    """A firewall that the app can read may allow only some calls."""
    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Orders")
    await run_daily_check_on(scenario, days=20)
    run = await run_copy(scenario, "Orders")
    run.failed, run.error, run.failed_action = False, "", ""
    await run_daily_check_on(scenario, days=2)
    await retry(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=1))
    still = await read_states(scenario)

    environment = scenario.build.environment.id
    count = await ignore_issue(
        scenario.services, environment, f"refused_call:{ERP_HOST}", "by the proxy"
    )
    await scenario.run(timedelta(days=1))

    assert still["Orders"] == still["Invoices"] == (FlowJobState.BLOCKED, "outbound_call_blocked")
    assert count == 2
    assert {state for state, _ in (await read_states(scenario)).values()} == {FlowJobState.RETIRED}


async def test_daily_check_reads_one_copy_of_each_host(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = {
        (await find_copy(scenario, one)).flow_name: one for one in ("Orders", "Invoices", "Labels")
    }
    reports, asked = FakeFlowReports(scenario.world), list[str]()

    async def record_and_read_runs(
        environment_id: str, flow_name: str, **options: Any
    ) -> list[FlowRun]:
        asked.append(titles[flow_name])
        return await reports.read_runs(environment_id, flow_name, **options)

    monkeypatch.setattr(scenario.fakes.ports.flow_reports, "read_runs", record_and_read_runs)
    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Invoices")
    days = []
    for day in range(4):
        await run_daily_check(scenario.services, f"day-{day}")
        days.append(sorted(asked))
        asked.clear()
        scenario.world.clock.advance(DAY)

    first, second = sorted(days[:2])
    assert (first, second) == (["Invoices", "Labels"], ["Labels", "Orders"])
    assert sorted(days[2:]) == [["Invoices", "Labels"], ["Invoices", "Labels", "Orders"]]
    assert [one.reason_code for one in scenario.fakes.notices.told] == ["outbound_call_blocked"]


async def test_rejected_read_of_a_copy_affects_no_other(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = (await find_copy(scenario, "Labels")).flow_name
    reports, asked = FakeFlowReports(scenario.world), list[bool]()

    async def record_and_read_runs(
        environment_id: str, flow_name: str, **options: Any
    ) -> list[FlowRun]:
        asked.append(flow_name == labels)
        if flow_name == labels:
            raise PlatformError("no", code="Forbidden", status=403)
        return await reports.read_runs(environment_id, flow_name, **options)

    monkeypatch.setattr(scenario.fakes.ports.flow_reports, "read_runs", record_and_read_runs)
    for day in range(2):
        await run_daily_check(scenario.services, f"day-{day}")
        assert sorted(asked) == [False, True]
        asked.clear()
        scenario.world.clock.advance(DAY)


@pytest.mark.parametrize("later", [True, False])
async def test_time_out_is_a_blocked_call_unless_a_later_call_succeeds(
    scenario: Scenario, later: bool
) -> None:
    """A firewall that drops packets looks like a time-out."""
    run = await run_copy(scenario, "Orders")
    run.failed, run.failed_action = True, "Call"
    run.error = "A connection attempt failed because the connected party did not respond."
    if later:
        await run_copy(scenario, "Orders")

    await scenario.run(timedelta(days=20))

    blocked = (FlowJobState.BLOCKED, "outbound_call_blocked")
    assert ((await read_states(scenario))["Orders"] == blocked) is not later
    if not later:
        reason = (await scenario.read_job("Orders")).message
        assert "timed out" in reason
        assert "Every firewall that this app reads allows PowerPlatformPlex." in reason


async def test_failure_for_another_reason_stops_no_retirement(scenario: Scenario) -> None:
    run = await run_copy(scenario, "Orders")
    run.failed, run.failed_action, run.error = True, "Call", "404 NotFound"

    await scenario.run(timedelta(days=20))

    assert (await read_states(scenario))["Orders"][0] is FlowJobState.RETIRED


async def test_fix_for_a_blocked_external_host_names_the_service_tag(
    scenario: Scenario,
) -> None:
    """The app cannot read the firewall of an external host."""
    run = await run_copy(scenario, "Labels")
    run.failed, run.failed_action = True, "Call"
    run.error = "…because the target machine actively refused it."

    await scenario.run(timedelta(days=20))
    job = await scenario.read_job("Labels")

    assert "The app reads no firewall of labels.example, which Labels calls." in job.message
    assert "Ask its owner to allow inbound HTTPS from PowerPlatformPlex.WestEurope" in (job.fix)


async def test_rolled_back_copy_does_not_stop_other_retirements(scenario: Scenario) -> None:
    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Orders")
    await run_daily_check_on(scenario, days=20)
    await scenario.roll_back((await scenario.read_job("Orders")).original.id)
    scenario.world.firewalls = [build_erp_firewall(WEST)]

    await run_daily_check_on(scenario, days=1)

    assert (await read_states(scenario))["Invoices"][0] is FlowJobState.RETIRED


async def test_blocked_call_remains_recorded_after_its_run_is_deleted(scenario: Scenario) -> None:
    """The platform deletes runs after a while."""
    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Orders")
    await run_daily_check_on(scenario, days=40)
    await delete_settled_alerts(scenario.services)

    stopped = await read_states(scenario)
    notices = await scenario.services.tables.alerts.read_all("alert")
    assert (
        stopped["Orders"] == stopped["Invoices"] == (FlowJobState.BLOCKED, "outbound_call_blocked")
    )
    assert [one.reason_code for one in notices] == ["outbound_call_blocked"]


async def test_next_daily_check_reports_a_recorded_blocked_call(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(_: FakeNotices, notice: Alert) -> None:
        raise ServiceUnavailable(f"died before {notice.reason_code} was told")

    scenario.world.firewalls = [build_erp_firewall()]
    await run_copy(scenario, "Labels")
    await run_copy(scenario, "Orders")
    await run_copy(scenario, "Invoices")
    monkeypatch.setattr(FakeNotices, "send", die)
    await run_daily_check(scenario.services, "dies")
    noted = await scenario.services.tables.blocked_calls.read_all()
    monkeypatch.undo()
    scenario.world.firewalls = [build_erp_firewall(WEST)]
    await run_daily_check(scenario.services, "goes on")

    assert [one.host for one in noted] == [ERP_HOST]
    assert [one.reason_code for one in scenario.fakes.notices.told] == ["outbound_call_blocked"]
