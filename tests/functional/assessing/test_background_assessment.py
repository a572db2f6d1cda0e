from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.assessment.assessment import EnvironmentAssessment
from shared.domain.environment import Environment
from shared.domain.finding import FindingLevel
from shared.domain.flow import FlowListEntry, FlowRun, Workflow
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.remediation import Remediation
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import NotFound, PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import FlowPages, FlowReports, ResultPage, Workflows
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.assess import assess_environment
from shared.use_cases.start_assessment import AssessmentView, show_assessment, start_assessment
from tests.fakes.clock import ManualClock
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.flow_pages import SIZE
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.cases import CALLER_KINDS
from tests.performance.test_idle_minute import RecordingStore

ONE = AssessmentRequest()
ANNA = Principal(name="anna", roles=frozenset(Role), kind=PrincipalKind.USER)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(slots=True)
class SlowPages:
    all: Workflows
    clock: ManualClock
    a_page: int = 500
    a_minute: int = 10
    #: The cursors of all pages that were returned.
    asked: list[str] = field(default_factory=list)
    _times: list[datetime] = field(default_factory=list)
    _flows: list[Workflow] = field(default_factory=list)

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        now, minute = self.clock.now(), timedelta(minutes=1)
        self._times = [one for one in self._times if now - one < minute]
        if len(self._times) >= self.a_minute:
            wait = self._times[0] + minute - now
            raise ThrottledError("the budget is used up", retry_after=wait)
        self._times.append(now)
        self.clock.advance(timedelta(seconds=2.5))
        if not self._flows:
            self._flows += [flow async for flow in self.all.list(environment)]
        self.asked.append(cursor)
        start, end = int(cursor or 0), int(cursor or 0) + self.a_page
        following = str(end) if end < len(self._flows) else ""
        return ResultPage(items=tuple(self._flows[start:end]), cursor=following)


@dataclass(slots=True)
class FailingPages:
    pages: FlowPages
    #: The number of the request that fails, from 1.
    fails_at: int
    failure: BaseException
    asked: list[str] = field(default_factory=list)

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        self.asked.append(cursor)
        if len(self.asked) == self.fails_at:
            raise self.failure
        return await self.pages.read_workflows(environment, cursor)


@dataclass(slots=True)
class OneRequestAMinute:
    reports: FlowReports
    clock: ManualClock
    #: List and cursor of each page that was returned.
    asked: list[tuple[bool, str]] = field(default_factory=list)
    _free_at: datetime | None = None

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        self._take()
        self.asked.append((cannot_migrate_only, cursor))
        return await self.reports.read_microsoft_key_flows(
            environment_id, cursor, cannot_migrate_only=cannot_migrate_only
        )

    async def read_runs(self, environment_id: str, flow_name: str, **named: Any) -> list[FlowRun]:
        self._take()
        self.asked.append((True, flow_name))
        return await self.reports.read_runs(environment_id, flow_name, **named)

    def _take(self) -> None:
        now = self.clock.now()
        if self._free_at and now < self._free_at:
            raise ThrottledError("the budget is used up", retry_after=self._free_at - now)
        self._free_at = now + timedelta(minutes=1)


def wrap_ports(scenario: Scenario, **ports: Callable[[Any], Any]) -> None:
    def change(those: Ports) -> Ports:
        made = {name: make(getattr(those, name)) for name, make in ports.items()}
        return replace(those, **made)

    scenario.around = change
    scenario.renew()


@pytest.fixture
def scenario() -> Scenario:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_flow_caller(orders)
    for number in range(2 * SIZE):
        scenario.build.add_polling_flow(f"Flow {number}")
    scenario.world.traffic.beat(scenario.world)
    return scenario


async def start_background_assessment(
    scenario: Scenario, request: AssessmentRequest = ONE
) -> Remediation:
    environment_id = scenario.build.environment.id
    return await scenario.driver.call(lambda s: start_assessment(s, environment_id, request, ANNA))


async def read_assessment(scenario: Scenario, started: Remediation) -> AssessmentView:
    return await show_assessment(scenario.services, started.id)


def remove_times(found: EnvironmentAssessment | None) -> EnvironmentAssessment:
    assert found is not None
    return replace(found, assessed_at=datetime.min, callers_searched_at=None)  # noqa: DTZ901  # any will do


async def assess_immediately(scenario: Scenario) -> EnvironmentAssessment:
    return remove_times(await assess_environment(scenario.services, scenario.build.environment.id))


async def test_background_assessment_equals_an_immediate_one(
    scenario: Scenario,
) -> None:
    started = await start_background_assessment(scenario)
    assert (await read_assessment(scenario, started)).answer is None

    await scenario.run(HOUR)

    found = await read_assessment(scenario, started)
    assert found.job.state is EnvironmentJobState.COMPLETED
    assert remove_times(found.answer) == await assess_immediately(scenario)
    assert [flow.display_name for flow in remove_times(found.answer).flows] == ["Orders"]
    assert found.job.assessed is not None
    assert found.job.assessed.flows == len([*scenario.world.list_flows()])
    assert scenario.world.writes == []
    assert await scenario.services.tables.discovery_pages.read_all(found.job.id) == []


async def test_ten_thousand_flows_at_a_slow_page_rate_are_assessed() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    model = scenario.build.add_polling_flow("Flow")
    for number in range(9_998):
        scenario.world.add_flow(
            replace(
                model,
                workflow_id=scenario.world.create_guid(),
                flow_name=scenario.world.create_guid(),
                name=f"Flow {number}",
            )
        )
    pages = SlowPages(scenario.fakes.ports.workflows, scenario.world.clock, a_minute=3)
    store = RecordingStore(scenario.fakes.store)
    wrap_ports(scenario, flow_pages=lambda _: pages, store=lambda _: store)
    seen: list[int] = []

    def look() -> None:
        for row in scenario.fakes.store.rows.values():
            if row.table == "environmentjobs":
                job = scenario.services.tables.environment_jobs.parse_row(row).item
                seen.append(job.assessed.flows if job.assessed else 0)

    scenario.driver.meanwhile = look
    started = await start_background_assessment(scenario)
    await scenario.run(DAY)

    found = await read_assessment(scenario, started)
    assert remove_times(found.answer).flow_count == 10_000
    assert [flow.display_name for flow in remove_times(found.answer).flows] == ["Orders"]
    assert seen == sorted(seen)
    assert len(set(seen)) > 5, "the row says how far it is"
    assert pages.asked == ["", *(str(start) for start in range(500, 10_000, 500))]
    most = 46 * 10 + 4 * len(CALLER_KINDS)
    assert len(store.queries) + len(store.gets) + store.writes <= most


async def test_assessment_completes_with_one_request_a_minute(scenario: Scenario) -> None:
    for number in range(20):
        scenario.build.add_http_flow(f"Form {number}")
    scenario.world.report_page = SIZE
    reports = OneRequestAMinute(scenario.fakes.ports.flow_reports, scenario.world.clock)
    wrap_ports(scenario, flow_reports=lambda _: reports)
    started = await start_background_assessment(scenario)

    await scenario.run(2 * HOUR)

    found = remove_times((await read_assessment(scenario, started)).answer)
    assert len(found.flows) == 21
    assert len(reports.asked) == len(set(reports.asked)) > 2 * 21 / SIZE


async def test_assessment_of_a_thousand_flows_needs_at_most_fifty_store_reads() -> None:
    """The app reads the stored callers of all flows together, not flow by flow."""
    scenario = Scenario()
    for number in range(1_000):
        scenario.build.add_http_flow(f"Flow {number}")
    store = RecordingStore(scenario.fakes.store)
    wrap_ports(scenario, store=lambda _: store)
    services = scenario.make(scenario.fakes.ports)
    environment = scenario.build.environment.id

    found = await assess_environment(services, environment)

    assert len(found.flows) == 1_000
    assert len(store.queries) + len(store.gets) <= 50


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_killed_process_repeats_one_page(scenario: Scenario, page: int) -> None:
    expected = await assess_immediately(scenario)
    pages = FailingPages(scenario.fakes.ports.flow_pages, page, Killed())
    wrap_ports(scenario, flow_pages=lambda _: pages)
    started = await start_background_assessment(scenario)

    await scenario.run(HOUR)

    found = await read_assessment(scenario, started)
    assert remove_times(found.answer) == expected
    assert len(pages.asked) == len(set(pages.asked)) + 1


async def test_assessment_completes_after_a_kill_at_any_request(scenario: Scenario) -> None:
    """A kill after a request equals a kill before the next, so every other request suffices."""
    expected = await assess_immediately(scenario)
    calls = Plan()
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=calls)
    await start_background_assessment(scenario)
    await scenario.run(HOUR)
    assert calls.calls > 20

    for at in range(1, calls.calls + 1, 2):
        for moment in Moment:
            plan = Plan(at=at, moment=moment)
            scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan)
            try:
                started = await start_background_assessment(scenario)
            except Killed:
                started = await start_background_assessment(scenario)
            await scenario.run(HOUR)
            found = await read_assessment(scenario, started)
            assert remove_times(found.answer) == expected, (at, moment)
            assert await scenario.services.tables.discovery_pages.read_all(found.job.id) == []
    jobs = await scenario.services.tables.environment_jobs.read_all()
    assert {job.state for job in jobs} == {EnvironmentJobState.COMPLETED}


async def test_same_request_returns_the_running_assessment(scenario: Scenario) -> None:
    first, second = (
        await start_background_assessment(scenario),
        await start_background_assessment(scenario),
    )
    other = await start_background_assessment(scenario, AssessmentRequest(vault="v", key="k"))
    await scenario.run(HOUR)
    later = await start_background_assessment(scenario)

    assert first.id == second.id
    assert len({first.id, other.id, later.id}) == 3
    assert await count_environment_jobs(scenario.services) == 3


async def count_environment_jobs(services: Services) -> int:
    return len(await services.tables.environment_jobs.read_all())


async def test_next_request_starts_an_assessment_whose_start_was_interrupted(
    scenario: Scenario,
) -> None:
    key = f"{scenario.build.environment.id}-{ONE.digest}"
    row = SharedSnapshot(topic="assessments", id=key, archive_name="assessment x")
    await scenario.services.tables.shared_snapshots.upsert(row)

    started = await start_background_assessment(scenario)
    await scenario.run(HOUR)

    assert started.idempotency_key == "assessment x"
    assert (await read_assessment(scenario, started)).answer is not None


async def test_list_with_a_damaged_page_is_read_again(scenario: Scenario) -> None:
    pages = FailingPages(scenario.fakes.ports.flow_pages, 3, ThrottledError("later"))
    wrap_ports(scenario, flow_pages=lambda _: pages)
    started = await start_background_assessment(scenario)

    def damage() -> None:
        for row in [*scenario.fakes.store.rows.values()]:
            if row.table == "discoverypages" and row.key == "dataverse-000000" and not damaged:
                place = (row.table, row.partition, row.key)
                scenario.fakes.store.rows[place] = replace(
                    row, columns={**row.columns, "data0": "{"}
                )
                damaged.append(row.key)

    damaged: list[str] = []
    scenario.driver.meanwhile = damage
    await scenario.run(HOUR)

    assert damaged
    assert remove_times(
        (await read_assessment(scenario, started)).answer
    ) == await assess_immediately(scenario)


async def test_list_with_an_expired_cursor_is_read_again(scenario: Scenario) -> None:
    refused = PlatformError("The paging cookie has expired.", code="0x80040216", status=400)
    pages = FailingPages(scenario.fakes.ports.flow_pages, 2, refused)
    wrap_ports(scenario, flow_pages=lambda _: pages)
    started = await start_background_assessment(scenario)

    await scenario.run(HOUR)

    assert pages.asked[:3] == ["", pages.asked[1], ""]
    assert remove_times(
        (await read_assessment(scenario, started)).answer
    ) == await assess_immediately(scenario)


async def test_assessment_reports_a_list_that_cannot_be_read(scenario: Scenario) -> None:
    refused = PlatformError("No.", code="Forbidden", status=403)
    pages = FailingPages(scenario.fakes.ports.flow_pages, 1, refused)
    wrap_ports(scenario, flow_pages=lambda _: pages)
    started = await start_background_assessment(scenario)

    await scenario.run(HOUR)

    found = remove_times((await read_assessment(scenario, started)).answer)
    assert found.flow_count is None
    assert "No." in str(found.sections)


async def test_background_assessment_can_be_cancelled(scenario: Scenario) -> None:
    started = await start_background_assessment(scenario)

    await change_remediation.cancel(scenario.services, started.id)
    await scenario.run(HOUR)

    found = await read_assessment(scenario, started)
    assert found.job.state is EnvironmentJobState.CANCELLED
    assert found.answer is None


async def test_unknown_environment_policy_and_assessment_are_not_found(scenario: Scenario) -> None:
    with pytest.raises(NotFound):
        await start_assessment(scenario.services, scenario.world.create_guid(), ONE, ANNA)
    with pytest.raises(NotFound, match="policy"):
        await start_background_assessment(scenario, AssessmentRequest(policy="no-such-policy"))
    await scenario.start_remediation()
    with pytest.raises(NotFound, match="No assessment"):
        await show_assessment(scenario.services, scenario.remediation.id)


@pytest.mark.parametrize(
    "failure",
    [
        ServiceUnavailable("no list in the response", of_object=True),
        ServiceUnavailable("no response"),
    ],
)
@pytest.mark.parametrize("name", ["connections", "canvas_apps"])
async def test_assessment_completes_without_an_unavailable_power_apps_list(
    scenario: Scenario, name: str, failure: Exception
) -> None:
    tries = 0

    class Failing:
        async def read_page(self, *_: str) -> ResultPage[Any]:
            nonlocal tries
            tries += 1
            raise failure

    wrap_ports(scenario, **{name: lambda _: Failing()})
    started = await start_background_assessment(scenario)
    await scenario.run(DAY)

    found = await read_assessment(scenario, started)
    assert found.job.state is EnvironmentJobState.COMPLETED, found.job.message
    answer = remove_times(found.answer)
    assert tries > 3
    assert [flow.display_name for flow in answer.flows] == ["Orders"]
    findings = [one for section in answer.sections for one in section.findings]
    (finding,) = [one for one in findings if one.code == name]
    assert finding.level is FindingLevel.UNKNOWN
    assert "could not be read" in finding.message
    assert finding.fix


async def test_list_that_repeats_a_page_blocks_the_assessment(
    scenario: Scenario,
) -> None:
    cursors = {"": "a", "a": "b", "b": "a"}
    asked: list[str] = []

    class RepeatedPages:
        async def read_workflows(self, _: Environment, cursor: str = "") -> ResultPage[Any]:
            asked.append(cursor)
            return ResultPage(items=(), cursor=cursors[cursor])

    wrap_ports(scenario, flow_pages=lambda _: RepeatedPages())
    started = await start_background_assessment(scenario)
    await scenario.run(DAY)

    job = (await read_assessment(scenario, started)).job
    assert job.state is EnvironmentJobState.BLOCKED
    assert "repeats a page" in job.message
    assert job.fix
    assert asked == ["", "a", "b"] * (scenario.services.settings.backoff_max_attempts + 1)
