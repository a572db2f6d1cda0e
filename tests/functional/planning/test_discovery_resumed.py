from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow, WorkflowSummary
from shared.domain.plans.discovery import (
    FLOWS_IN_A_ROW,
    LONGEST,
    DiscoveryPage,
    DiscoveryResult,
    DiscoverySource,
)
from shared.domain.plans.remediation import RemediationMode
from shared.errors import LeaseLost, PlatformError, ServiceUnavailable, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.planning.discover_flows import discover_flows
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.flow_pages import SIZE
from tests.fakes.ports import Fakes
from tests.fakes.services import build_fake_services
from tests.functional.scenarios.remediation_scenario import Scenario

JOB = "job"
FLOWS = 4 * SIZE + 1
PAGES = 5


@dataclass(slots=True)
class RecordedPages:
    """A port of pages of flows that records the requested cursors and can fail at one request."""

    pages: Any
    #: The number of the request that fails, from 1. If 0, none fails.
    fails_at: int = 0
    failure: BaseException = field(default_factory=Killed)
    asked: list[str] = field(default_factory=list)

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        self._count(cursor)
        page: ResultPage[Workflow] = await self.pages.read_workflows(environment, cursor)
        return page

    async def read_workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        page: ResultPage[WorkflowSummary] = await self.pages.read_workflow_summaries(
            environment, cursor
        )
        return page

    async def read_workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        flows: list[Workflow] = await self.pages.read_workflows_by_id(environment, workflow_ids)
        return flows

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        self._count(cursor)
        page: ResultPage[FlowListEntry] = await self.pages.read_flows(environment_id, cursor)
        return page

    def _count(self, cursor: str) -> None:
        self.asked.append(cursor)
        if len(self.asked) == self.fails_at:
            raise self.failure


@dataclass(slots=True)
class Tenant:
    """A tenant with several pages of flows, which one process after another discovers."""

    scenario: Scenario = field(default_factory=Scenario)
    pages: RecordedPages = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        for number in range(FLOWS):
            self.scenario.build.add_http_flow(f"Flow {number}")
        self.services = self.build_services()

    @property
    def fakes(self) -> Fakes:
        return self.scenario.fakes

    def build_services(self, fails_at: int = 0, failure: BaseException | None = None) -> Services:
        """Return the services of a new process.

        Its page request with the number `fails_at` fails.
        """
        services = build_fake_services(self.fakes.ports)
        self.pages = RecordedPages(services.flow_pages, fails_at, failure or Killed())
        return replace(services, flow_pages=self.pages)

    async def describe_environment(self) -> Environment:
        return await self.services.environments.get(self.scenario.build.environment.id)

    async def discover(self, services: Services, *, reconcile: bool = False) -> DiscoveryResult:
        return await discover_flows(
            services, await self.describe_environment(), open_rows(services), reconcile=reconcile
        )


def open_rows(services: Services, number: int = 1) -> FencedRows[DiscoveryPage]:
    return FencedRows(services.tables.discovery_pages, JOB, number)


async def forget_discovery(tenant: Tenant) -> None:
    await tenant.services.tables.discovery_pages.clear(JOB)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


@pytest.mark.parametrize("page", range(1, PAGES + 1))
async def test_discovery_after_a_kill_reads_only_the_remaining_pages(
    tenant: Tenant, page: int
) -> None:
    whole = await tenant.discover(tenant.services)
    await forget_discovery(tenant)

    with pytest.raises(Killed):
        await tenant.discover(tenant.build_services(fails_at=page))
    resumed = await tenant.discover(tenant.build_services())

    assert len(tenant.pages.asked) == PAGES - page + 1
    assert resumed.flows_on_microsoft_key == whole.flows_on_microsoft_key
    assert resumed.children == whole.children
    assert len(resumed.flows_on_microsoft_key) == FLOWS


async def test_discovery_after_a_kill_at_any_request_finds_the_same_flows(tenant: Tenant) -> None:
    whole = await tenant.discover(tenant.services, reconcile=True)
    rows = await tenant.services.tables.discovery_pages.read_all(JOB)
    calls = Plan()
    await forget_discovery(tenant)
    await tenant.discover(
        build_fake_services(tenant.fakes.ports.wrap_with_plan(calls)), reconcile=True
    )
    assert calls.calls > 2 * PAGES

    for at in range(1, calls.calls + 1):
        for moment in Moment:
            await forget_discovery(tenant)
            plan = Plan(at=at, moment=moment)
            with pytest.raises(Killed):
                await tenant.discover(
                    build_fake_services(tenant.fakes.ports.wrap_with_plan(plan)), reconcile=True
                )
            resumed = await tenant.discover(tenant.services, reconcile=True)
            assert (resumed.flows_on_microsoft_key, resumed.findings) == (
                whole.flows_on_microsoft_key,
                whole.findings,
            )
            assert await tenant.services.tables.discovery_pages.read_all(JOB) == rows


async def test_discovery_that_lost_its_lease_leaves_no_rows(tenant: Tenant) -> None:
    environment = await tenant.describe_environment()

    async def overtake() -> None:
        newer = open_rows(tenant.services, 2)
        await discover_flows(tenant.services, environment, newer)
        await newer.clear()

    with pytest.raises(LeaseLost):
        await discover_flows(
            tenant.services, environment, open_rows(tenant.services, 1), advanced=overtake
        )

    assert await tenant.services.tables.discovery_pages.read_all(JOB) == []


async def test_throttled_discovery_continues_with_the_same_page(tenant: Tenant) -> None:
    with pytest.raises(ThrottledError):
        await tenant.discover(tenant.build_services(fails_at=3, failure=ThrottledError()))
    found = await tenant.discover(tenant.build_services())

    assert tenant.pages.asked[0] == str(2 * SIZE)
    assert len(found.flows_on_microsoft_key) == FLOWS


async def test_discovery_reads_a_source_again_after_its_cursor_expired(tenant: Tenant) -> None:
    with pytest.raises(Killed):
        await tenant.discover(tenant.build_services(fails_at=3))
    tenant.scenario.world.cursors_expired = True
    with pytest.raises(ServiceUnavailable):
        await tenant.discover(tenant.build_services())
    tenant.scenario.world.cursors_expired = False
    found = await tenant.discover(tenant.build_services())

    assert tenant.pages.asked[0] == ""
    assert len(tenant.pages.asked) == PAGES
    assert len(found.flows_on_microsoft_key) == FLOWS


async def test_discovery_after_a_kill_while_pages_are_deleted_finds_every_flow(
    tenant: Tenant,
) -> None:
    whole = await tenant.discover(tenant.services)
    for at in range(1, 3 * PAGES):
        await forget_discovery(tenant)
        with pytest.raises(Killed):
            await tenant.discover(tenant.build_services(fails_at=PAGES))
        tenant.scenario.world.cursors_expired = True
        plan = Plan(at=at)
        with pytest.raises((Killed, ServiceUnavailable)):
            await tenant.discover(build_fake_services(tenant.fakes.ports.wrap_with_plan(plan)))
        tenant.scenario.world.cursors_expired = False

        found = await tenant.discover(tenant.services)

        assert found.flows_on_microsoft_key == whole.flows_on_microsoft_key
        assert found.children == whole.children


async def test_other_errors_of_a_page_are_raised(tenant: Tenant) -> None:
    no = PlatformError("no", code="0x80040220", status=403)
    with pytest.raises(PlatformError):
        await tenant.discover(tenant.build_services(fails_at=3, failure=no))

    parts = await tenant.services.tables.discovery_pages.read_all(JOB)
    assert sum(part.source is DiscoverySource.DATAVERSE for part in parts) == 2


async def test_interrupted_discovery_reads_all_pages_again_after_half_an_hour(
    tenant: Tenant,
) -> None:
    with pytest.raises(Killed):
        await tenant.discover(tenant.build_services(fails_at=3))
    tenant.scenario.world.clock.advance(timedelta(minutes=31))
    await tenant.discover(tenant.build_services())

    assert len(tenant.pages.asked) == PAGES


async def test_daily_check_deletes_old_discovery_pages(tenant: Tenant) -> None:
    with pytest.raises(Killed):
        await tenant.discover(tenant.build_services(fails_at=3))
    await run_daily_check(tenant.services, "day-1")
    young = await tenant.services.tables.discovery_pages.read_all(JOB)
    tenant.scenario.world.clock.advance(timedelta(hours=25))
    await run_daily_check(tenant.services, "day-2")

    assert len(young) > 0
    assert await tenant.services.tables.discovery_pages.read_all(JOB) == []


async def test_daily_check_keeps_pages_of_a_discovery_in_progress(
    tenant: Tenant,
) -> None:
    whole = await tenant.discover(tenant.services)
    await forget_discovery(tenant)
    with pytest.raises(Killed):
        await tenant.discover(tenant.build_services(fails_at=4))
    table = tenant.services.tables.discovery_pages
    old = next(one for one in await table.read_all(JOB) if one.source is DiscoverySource.DATAVERSE)
    await table.upsert(replace(old, read_at=old.read_at - LONGEST - timedelta(minutes=1)))

    await run_daily_check(tenant.services, "day-1")
    found = await tenant.discover(tenant.build_services())

    assert found.flows_on_microsoft_key == whole.flows_on_microsoft_key
    assert len(tenant.pages.asked) == PAGES - 3


async def test_flows_without_a_dataverse_row_are_read_once_despite_kills(tenant: Tenant) -> None:
    """Each such flow costs a request of a small budget."""
    world = tenant.scenario.world
    world.assumptions.my_flows_have_rows = False
    for number in range(3):
        tenant.scenario.build.add_http_flow(f"Mine {number}").in_solution = False
    read: list[str] = []

    class Reports:
        def __init__(self, reports: Any) -> None:
            self.reports = reports

        def __getattr__(self, name: str) -> Any:
            return getattr(self.reports, name)

        async def get_flow(self, environment_id: str, flow_name: str) -> Any:
            read.append(flow_name)
            if len(read) == 2:
                raise ThrottledError
            return await self.reports.get_flow(environment_id, flow_name)

    reports: Any = Reports(tenant.services.flow_reports)
    services = replace(tenant.services, flow_reports=reports)
    with pytest.raises(ThrottledError):
        await tenant.discover(services)
    found = await tenant.discover(services)

    assert len(read) == 4  # the second is asked for again, since no answer came
    assert len(found.flows_on_microsoft_key) == FLOWS + 3


async def test_completed_plan_leaves_no_discovery_page() -> None:
    scenario = Scenario()
    for number in range(FLOWS_IN_A_ROW + 1):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    await scenario.order(RemediationMode.ASSESS)

    assert len(await scenario.plan()) == FLOWS_IN_A_ROW + 1
    assert await scenario.services.tables.discovery_pages.read_all() == []
