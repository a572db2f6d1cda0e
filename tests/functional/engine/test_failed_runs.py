import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.teams import build_card
from shared.domain.failed_runs import FailedRunReport
from shared.domain.flow import FlowListEntry, FlowRun, FlowState
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import NotFound, PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import ResultPage
from shared.services import Services
from shared.use_cases.change_environment import change_environment
from shared.use_cases.notify import notify
from shared.use_cases.report_failed_runs import (
    MOST_FLOWS,
    read_failed_run_report,
    report_failed_runs,
)
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CANARY = "canary-input-0"


@pytest.fixture
async def scenario() -> Scenario:
    return await build_scenario(report_failed_runs=True)


async def build_scenario(**settings: Any) -> Scenario:
    scenario = Scenario()
    scenario.build.apply_key()
    await scenario.opt_in(**settings)
    clock = scenario.world.clock
    clock.advance_to((clock.now() + DAY).replace(hour=0, minute=0, second=0, microsecond=0))
    return scenario


def add_runs(scenario: Scenario, flow: FakeFlow, *hours: int, failed: bool = True) -> None:
    """Add runs at these hours of the current day, failed unless `failed` is false."""
    for hour in hours:
        began = scenario.world.clock.now() + hour * HOUR
        run = FakeRun(run_id=scenario.world.create_guid(), started=began, ends=began, failed=failed)
        run.error = CANARY
        run.trigger_url_id = flow.trigger_url_id
        flow.runs.append(run)


def add_flow(scenario: Scenario, name: str, *hours: int, failed: bool = True) -> FakeFlow:
    """Add a flow with runs at these hours of the current day, failed unless `failed` is false."""
    flow = scenario.build.add_http_flow(name)
    scenario.build.migrate()
    flow.protected_since = None
    add_runs(scenario, flow, *hours, failed=failed)
    return flow


async def report_failed_runs_of_day(
    scenario: Scenario, services: Services | None = None
) -> FailedRunReport:
    scenario.world.clock.advance(DAY + 2 * HOUR)
    services = services or scenario.services
    environment = await services.environments.get(scenario.build.environment.id)
    await report_failed_runs(services, environment, started_at=services.now)
    return await read_failed_run_report(services, environment.id)


async def test_report_has_count_times_and_error_code_of_each_flow(scenario: Scenario) -> None:
    start = scenario.world.clock.now()
    sales = add_flow(scenario, "Orders", 8, 9, 23)
    add_flow(scenario, "Mail", 3, failed=False)
    add_runs(scenario, sales, -1, 24, failed=True)
    invoices = add_flow(scenario, "Invoices", 5)

    found = await report_failed_runs_of_day(scenario)

    assert (found.day, found.read_count, found.unread_text) == (f"{start:%Y-%m-%d}", 3, "")
    first, second = found.flows
    assert (first.display_name, first.failed_count) == ("Orders", 3)
    assert (first.first_failed_at, first.last_failed_at) == (start + 8 * HOUR, start + 23 * HOUR)
    assert first.error_codes == ("ActionFailed",)
    assert (second.flow_name, second.failed_count) == (invoices.flow_name, 1)


async def test_report_is_made_only_where_it_is_turned_on() -> None:
    scenario = await build_scenario()
    add_flow(scenario, "Orders", 8)
    with pytest.raises(NotFound, match="report-failed-runs"):
        await report_failed_runs_of_day(scenario)
    environment_id = scenario.build.environment.id

    await change_environment(scenario.services, environment_id, {"report_failed_runs": True})
    await report_failed_runs_of_day(scenario)
    await change_environment(scenario.services, environment_id, {"report_failed_runs": False})

    with pytest.raises(NotFound):
        await read_failed_run_report(scenario.services, environment_id)


async def test_daily_check_reports_and_repeats_nothing(scenario: Scenario) -> None:
    add_flow(scenario, "Orders", 8)
    scenario.world.clock.advance(DAY + HOUR)
    await run_daily_check(scenario.services, "today")
    first = await read_failed_run_report(scenario.services, scenario.build.environment.id)
    scenario.world.clock.advance(HOUR)

    await run_daily_check(scenario.services, "today")

    again = await read_failed_run_report(scenario.services, scenario.build.environment.id)
    assert first.run_count == 1
    assert again == first


async def test_many_flows_are_read_in_turn(scenario: Scenario) -> None:
    flows = [add_flow(scenario, f"Flow {number}", 8) for number in range(MOST_FLOWS + 30)]
    first = await report_failed_runs_of_day(scenario)
    for flow in flows:
        add_runs(scenario, flow, 0)

    second = await report_failed_runs_of_day(scenario)

    assert first.read_count == second.read_count == MOST_FLOWS
    assert "100 flows were read; the next report continues" in first.unread_text
    found = {one.flow_name for one in (*first.flows, *second.flows)}
    assert found == {flow.flow_name for flow in flows}


@dataclass
class Answering:
    """A flow service that raises an error for the runs of some flows."""

    inner: Any
    errors: dict[str, Exception]
    asked: list[str] = field(default_factory=list)

    async def read_run_page(
        self,
        environment_id: str,
        flow_name: str,
        cursor: str = "",
        *,
        since: datetime,
        until: datetime,
    ) -> ResultPage[FlowRun]:
        self.asked.append(flow_name)
        if flow_name in self.errors:
            raise self.errors[flow_name]
        page: ResultPage[FlowRun] = await self.inner.read_run_page(
            environment_id, flow_name, cursor, since=since, until=until
        )
        return page

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize(
    "error",
    [PlatformError("no", code="Forbidden", status=403), ServiceUnavailable("no answer")],
)
async def test_report_omits_only_the_flow_that_could_not_be_read(
    scenario: Scenario, error: Exception
) -> None:
    sales, mail = add_flow(scenario, "Orders", 8), add_flow(scenario, "Mail", 8)
    reports = Answering(scenario.services.flow_reports, {mail.flow_name: error})
    services = replace(scenario.services, flow_reports=reports)

    found = await report_failed_runs_of_day(scenario, services)

    assert [one.flow_name for one in found.flows] == [sales.flow_name]
    assert found.unread_text == "No answer about: Mail."


async def test_used_up_budget_ends_the_report_and_the_next_one_continues(
    scenario: Scenario,
) -> None:
    flows = sorted(
        (add_flow(scenario, name, 8) for name in ("A", "B", "C")), key=lambda one: one.flow_name
    )
    names = [flow.flow_name for flow in flows]
    throttled = ThrottledError("wait", retry_after=timedelta(minutes=5))
    reports = Answering(scenario.services.flow_reports, {names[1]: throttled})
    services = replace(scenario.services, flow_reports=reports)

    found = await report_failed_runs_of_day(scenario, services)
    reports.errors.clear()
    reports.asked.clear()
    await report_failed_runs_of_day(scenario, services)

    assert [one.flow_name for one in found.flows] == names[:1]
    assert "The next report continues" in found.unread_text
    assert reports.asked == [names[0], names[1], names[2]]


async def test_report_that_has_no_time_left_continues_the_next_day(scenario: Scenario) -> None:
    add_flow(scenario, "Sales", 8)
    services = scenario.services
    scenario.world.clock.advance(DAY + HOUR)
    environment = await services.environments.get(scenario.build.environment.id)
    await report_failed_runs(services, environment, started_at=services.now - HOUR)

    late = await read_failed_run_report(services, environment.id)

    assert (late.flows, late.read_count) == ((), 0)
    assert "0 flows were read" in late.unread_text
    assert (await report_failed_runs_of_day(scenario)).read_count == 1


async def test_deleted_flow_and_expired_cursor_do_not_stop_the_report(scenario: Scenario) -> None:
    add_flow(scenario, "Orders", 8)
    found = await report_failed_runs_of_day(scenario)
    table = scenario.services.tables.failed_run_reports
    gone = replace(found.flows[0], flow_name="gone")
    await table.upsert(replace(found, cursor="3", flows=(gone,)))
    scenario.world.cursors_expired = True
    add_runs(scenario, next(iter(scenario.world.list_flows())), -1)

    again = await report_failed_runs_of_day(scenario)

    assert (again.unread_text, again.cursor) == ("", "")
    assert again.read_count == 1


async def test_runs_beyond_the_limit_make_the_count_a_minimum(scenario: Scenario) -> None:
    """The app reads a limited number of runs of a flow."""
    scenario.world.run_page = 2
    add_flow(scenario, "Orders", *range(20))

    found = await report_failed_runs_of_day(scenario)

    assert found.flows[0].has_more_runs
    assert found.flows[0].failed_count == 8


@dataclass
class Heard:
    name: str = "heard"
    sent: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.sent.append(notification)


async def test_report_is_sent_once_with_links_and_without_contents(scenario: Scenario) -> None:
    flow = add_flow(scenario, "Orders", 8, 9)
    found = await report_failed_runs_of_day(scenario)
    heard = Heard()
    settings = scenario.settings.model_copy(update={"website_host": "app.example"})
    services = replace(scenario.services, channels=(heard,), settings=settings)

    for _ in range(3):
        await notify(services)
        scenario.world.clock.advance(HOUR)
    await report_failed_runs_of_day(scenario, services)
    await notify(services)

    [sent] = [one for one in heard.sent if one.pending_action.kind is PendingActionKind.FAILED_RUNS]
    environment = scenario.build.environment
    assert sent.pending_action.title == (
        f"Runs of 1 flow failed in {environment.display_name} on {found.day}"
    )
    message = sent.pending_action.message
    assert message == "2 runs failed: Orders 2 times, 08:00 to 09:00 UTC, ActionFailed."
    runs = (
        f"https://make.powerautomate.com/environments/{environment.id}/flows/{flow.flow_name}/runs"
    )
    assert sent.flow_links == (runs,)
    assert sent.link == f"https://app.example/api/dashboard/failed-runs#{environment.id}"
    for text in (json.dumps(build_cloud_event(sent)), json.dumps(build_card(sent))):
        assert CANARY not in text
        assert runs in text


async def test_old_report_is_not_sent(scenario: Scenario) -> None:
    add_flow(scenario, "Orders", 8)
    await report_failed_runs_of_day(scenario)
    scenario.world.clock.advance(3 * DAY)
    heard = Heard()

    await notify(replace(scenario.services, channels=(heard,)))

    assert [one for one in heard.sent if one.pending_action.kind == "failed_runs"] == []


@dataclass
class Listing:
    """An endless list of flows that are off, in which each page takes a minute."""

    scenario: Scenario
    count: int = 0

    async def read_flows(
        self, _environment_id: str, _cursor: str = ""
    ) -> ResultPage[FlowListEntry]:
        self.count += 1
        assert self.count < 100, "the list is read without a limit"
        self.scenario.world.clock.advance(timedelta(minutes=1))
        name = f"{self.count}"
        flow = FlowListEntry(
            flow_name=name, display_name=name, workflow_id=name, state=FlowState.OFF
        )
        return ResultPage(items=(flow,), cursor=name)


async def test_long_list_of_flows_that_are_off_ends_with_the_time(scenario: Scenario) -> None:
    listing = Listing(scenario)
    services = replace(scenario.services, flow_pages=listing)  # type: ignore[arg-type]

    found = await report_failed_runs_of_day(scenario, services)

    assert listing.count == 4
    assert found.cursor == "4"
    assert "the next report continues" in found.unread_text
