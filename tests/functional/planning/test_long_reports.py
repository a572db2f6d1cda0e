"""Test reads of a list of many pages that take several minutes."""

from datetime import timedelta

import pytest

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.environment import MIGRATION_LONGEST
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.discovery import DISCOVERY_RESTART_AFTER, DiscoveryPage
from shared.errors import ServiceUnavailable, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.steps.flows.key_report import open_key_report
from shared.steps.planning.discover_flows import discover_flows, read_flows_still_to_move
from shared.use_cases.name_flows import list_flows
from tests.functional.scenarios.recorded_list_reads import WatchedReport
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.request_meter import Meter, put_on_budget

FLOWS = 9
PAGE = 2
PAGES = 5
WHOLE = [str(n) if n else "" for n in range(0, FLOWS, PAGE)]


@pytest.fixture
def scenario() -> Scenario:
    scenario = Scenario()
    for number in range(FLOWS):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    scenario.world.report_page = PAGE
    return scenario


@pytest.fixture
def report(scenario: Scenario) -> WatchedReport:
    report = WatchedReport()
    report.put_before(scenario)
    return report


async def read_names(scenario: Scenario) -> set[str]:
    """Read the list in a new process, and return the names of its flows."""
    services = scenario.make(scenario.fakes.ports)
    async with open_key_report(services, scenario.build.environment.id) as found:
        return {flow.display_name for flow in found.flows}


async def count_stored_pages(scenario: Scenario) -> int:
    return len(await scenario.services.tables.discovery_pages.read_all())


async def test_plan_is_completed_with_one_request_a_minute(
    scenario: Scenario, report: WatchedReport
) -> None:
    meter = Meter()
    limit = BudgetLimit(name="flow-service", calls=1, window=timedelta(minutes=1))
    put_on_budget(scenario, limit, meter)
    await scenario.opt_in()

    await scenario.order(run=timedelta(minutes=13))

    job = await scenario.read_environment_job()
    assert (job.state, job.awaiting_approval_count) == (
        EnvironmentJobState.AWAITING_APPROVAL,
        FLOWS,
    )
    assert report.answered == {True: WHOLE, False: WHOLE}
    assert meter.find_most_in_a_minute() == 1


@pytest.mark.parametrize("pages", range(2 * PAGES))
async def test_interrupted_read_continues_with_the_next_page(
    scenario: Scenario, report: WatchedReport, pages: int
) -> None:
    services, home = scenario.make(scenario.fakes.ports), scenario.build.environment.id

    def open_rows() -> FencedRows[DiscoveryPage]:
        return FencedRows(services.tables.discovery_pages, "job")

    report.throttled_after = pages
    with pytest.raises(ThrottledError):
        await read_flows_still_to_move(services, home, open_rows())
    assert await read_flows_still_to_move(services, home, open_rows()) == []
    found = await discover_flows(services, await services.environments.get(home), open_rows())

    assert len(found.flows_on_microsoft_key) == FLOWS
    assert report.answered == {True: WHOLE, False: WHOLE}


async def test_list_is_read_again_after_its_cursor_expired(
    scenario: Scenario, report: WatchedReport
) -> None:
    services, home = scenario.make(scenario.fakes.ports), scenario.build.environment.id

    async def expire() -> None:
        scenario.world.cursors_expired = len(report.answered[False]) == 2

    rows = FencedRows(services.tables.discovery_pages, "job")
    with pytest.raises(ServiceUnavailable):
        await read_flows_still_to_move(services, home, rows, advanced=expire)
    scenario.world.cursors_expired = False
    left = await read_flows_still_to_move(
        services, home, FencedRows(services.tables.discovery_pages, "job")
    )

    assert left == []
    assert report.list_readings(cannot_migrate_only=True) == [WHOLE]
    assert report.list_readings(cannot_migrate_only=False) == [WHOLE[:2], WHOLE]


async def test_check_during_a_platform_migration_reads_one_page(
    report: WatchedReport,
) -> None:
    scenario = Scenario()
    for number in range(FLOWS):
        scenario.build.add_flow(f"Flow {number}", {"type": "Recurrence", "recurrence": {}})
    scenario.build.apply_key(migrated=False)
    scenario.build.migrate(at_most=0)
    scenario.world.report_page = PAGE
    report.put_before(scenario)
    await scenario.opt_in()

    await scenario.order(run=timedelta(minutes=1))
    one_look = list(report.answered[False])
    await scenario.run(MIGRATION_LONGEST + timedelta(hours=1))

    job = await scenario.read_environment_job()
    assert one_look == [""]
    assert job.state is EnvironmentJobState.BLOCKED
    assert all(f"Flow {number} " in job.message for number in range(FLOWS))
    assert report.list_readings(cannot_migrate_only=False)[-1] == WHOLE
    assert await count_stored_pages(scenario) == 0


async def test_several_readers_complete_a_report_together(
    scenario: Scenario, report: WatchedReport
) -> None:
    for pages in (1, 2, 4):
        report.throttled_after = pages
        with pytest.raises(ThrottledError):
            await read_names(scenario)
    found = await read_names(scenario)

    assert found == {f"Flow {number}" for number in range(FLOWS)}
    assert report.answered[False] == WHOLE
    assert await count_stored_pages(scenario) == 0


async def test_overtaken_reader_raises_an_error(scenario: Scenario, report: WatchedReport) -> None:
    home, found = scenario.build.environment.id, set[str]()

    async def overtake(_: object) -> None:
        found.update(await read_names(scenario))

    with pytest.raises(ThrottledError):
        async with open_key_report(scenario.make(scenario.fakes.ports), home, advanced=overtake):
            pytest.fail("another reader has the rows")

    assert len(found) == FLOWS
    assert report.answered[False] == [*WHOLE, WHOLE[1]]
    assert await read_names(scenario) == found


async def test_complete_report_is_stored_before_its_pages_are_deleted(
    scenario: Scenario, report: WatchedReport
) -> None:
    home = scenario.build.environment.id

    with pytest.raises(ZeroDivisionError):
        async with open_key_report(scenario.make(scenario.fakes.ports), home):
            raise ZeroDivisionError
    found = await read_names(scenario)

    assert len(found) == FLOWS
    assert report.answered[False] == WHOLE


async def test_report_with_old_pages_is_read_again(
    scenario: Scenario, report: WatchedReport
) -> None:
    report.throttled_after = 2
    with pytest.raises(ThrottledError):
        await read_names(scenario)
    scenario.world.clock.advance(DISCOVERY_RESTART_AFTER + timedelta(minutes=1))

    await read_names(scenario)

    assert report.list_readings(cannot_migrate_only=False) == [WHOLE[:2], WHOLE]


@pytest.mark.parametrize("pages", range(PAGES))
async def test_read_of_names_waits_between_pages(
    scenario: Scenario, report: WatchedReport, pages: int
) -> None:
    services, home = scenario.make(scenario.fakes.ports), scenario.build.environment.id
    report.throttled_after = pages

    if pages == 0:
        with pytest.raises(ThrottledError):
            await list_flows(services, home)
    assert len(await list_flows(services, home)) == FLOWS
    assert report.answered[False] == WHOLE


async def test_copies_are_verified_with_a_list_read_by_several_invocations(
    scenario: Scenario, report: WatchedReport
) -> None:
    meter = Meter()
    limit = BudgetLimit(name="flow-service", calls=2, window=timedelta(minutes=1))
    put_on_budget(scenario, limit, meter)
    scenario.world.report_page = 1
    await scenario.opt_in()
    await scenario.order(run=timedelta(minutes=20))
    report.answered.clear()

    await scenario.approve(run=timedelta(hours=6))

    readings = report.list_readings(cannot_migrate_only=False)
    assert {job.step for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.CHECKING_FOR_CALLS
    }
    # A list was read whole before another was begun.
    assert {tuple(one) for one in readings} == {tuple(map(str, ["", *range(1, FLOWS)]))}
    assert len(readings) < FLOWS, "one list verifies several copies"
    assert meter.find_most_in_a_minute() <= 2
    assert await count_stored_pages(scenario) == 0
