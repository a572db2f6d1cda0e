import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.run_archive import RunArchiveState
from shared.domain.power_apps import CanvasApp
from shared.errors import PlatformError, ThrottledError
from shared.ports import FlowReports, ResultPage
from shared.use_cases.archive_runs import archive_runs
from shared.use_cases.assess import assess_environment
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.assessing.test_background_assessment import (
    read_assessment,
    remove_times,
    start_background_assessment,
)
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown
from tests.functional.scenarios.request_meter import MINUTE, Meter, put_on_budget
from tests.property.examples import count_examples

MOST = 12
LISTS = settings(max_examples=count_examples(40))
#: The calls with a cursor, counted from 1, that the platform refuses.
expiries = st.frozensets(st.integers(1, MOST), max_size=3)


@dataclass(slots=True)
class Lists:
    """Records which pages of lists the app reads. Makes some cursors expire."""

    expires: frozenset[int]
    #: Of each page: which list, its cursor, and how many items it had; None: it was refused.
    given: list[tuple[object, str, int | None]] = field(default_factory=list)
    _cursors: int = 0

    def install(self, scenario: Scenario) -> None:
        def watch_reports(ports: Ports) -> Ports:
            reports: Any = _Watched(self, ports.flow_reports)
            return replace(ports, flow_reports=reports)

        scenario.around = watch_reports
        scenario.renew()

    @property
    def count_expired(self) -> int:
        return sum(size is None for _, _, size in self.given)

    def list_readings(self, name: object) -> list[list[str]]:
        """Return the cursors that each read of a list has used. A read ends when a cursor
        expires.
        """
        found: list[list[str]] = [[]]
        for one, cursor, size in self.given:
            if one == name and size is None:
                found.append([])
            elif one == name:
                found[-1].append(cursor)
        return found

    async def read_page[T](
        self, name: object, cursor: str, read: Callable[[], Awaitable[ResultPage[T]]]
    ) -> ResultPage[T]:
        """Read a page and record it, or reject its cursor as expired."""
        self._cursors += bool(cursor)
        if cursor and self._cursors in self.expires:
            self.given.append((name, cursor, None))
            raise PlatformError("The cursor has expired.", code="Expired", status=410)
        page = await read()
        self.given.append((name, cursor, len(page.items)))
        return page


class _Watched:
    def __init__(self, lists: Lists, reports: FlowReports) -> None:
        self._lists, self._reports = lists, reports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    async def read_run_page(
        self, environment_id: str, flow_name: str, cursor: str = "", **times: Any
    ) -> ResultPage[Any]:
        read = self._reports.read_run_page
        name = (flow_name, times["until"])
        return await self._lists.read_page(
            name, cursor, lambda: read(environment_id, flow_name, cursor, **times)
        )

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[Any]:
        read = self._reports.read_microsoft_key_flows
        return await self._lists.read_page(
            cannot_migrate_only,
            cursor,
            lambda: read(environment_id, cursor, cannot_migrate_only=cannot_migrate_only),
        )


def _add_runs(scenario: Scenario, flow: FakeFlow, count: int) -> None:
    for number in range(count):
        started = scenario.world.clock.now() - timedelta(hours=number, seconds=1)
        run = FakeRun(
            run_id=f"{flow.name}-{number}",
            started=started,
            ends=started + timedelta(seconds=2),
            trigger_url_id=flow.trigger_url_id,
        )
        flow.runs.append(run)


async def _archive_runs(scenario: Scenario) -> set[RunArchiveState]:
    until = scenario.world.clock.now() + timedelta(hours=3)
    while True:
        found = await scenario.driver.call(lambda s: archive_runs(s, scenario.remediation.id))
        if found.is_completed:
            return {one.state for one in found.archives}
        assert scenario.world.clock.now() < until, found
        await scenario.run(found.retry_after or timedelta(0))


@LISTS
@given(
    runs=st.lists(st.integers(0, MOST), min_size=1, max_size=3),
    page=st.integers(1, MOST),
    calls=st.integers(1, 6),
    expires=expiries,
)
@example(runs=[10], page=1, calls=1, expires=frozenset())
# The second cursor expires before another run is read: the page at the boundary is read again.
@example(runs=[2], page=1, calls=1, expires=frozenset({1, 2}))
def test_run_archives_complete_and_read_no_run_twice(
    runs: list[int], page: int, calls: int, expires: frozenset[int]
) -> None:
    """Only after a cursor has expired may a run be read again."""

    async def play() -> None:
        scenario, lists, meter = Scenario(), Lists(expires), Meter()
        flows = [scenario.build.add_http_flow(f"Flow {number}") for number in range(len(runs))]
        scenario.build.apply_key()
        scenario.world.run_page = page
        await scenario.start_remediation()
        await scenario.driver.call(lambda s: approve_shown(s, scenario.remediation.id))
        await scenario.run(timedelta(minutes=10))
        for flow, count in zip(flows, runs, strict=True):
            _add_runs(scenario, flow, count)
        lists.install(scenario)
        put_on_budget(scenario, BudgetLimit(name="flow-service", calls=calls, window=MINUTE), meter)
        scenario.renew()

        states = await _archive_runs(scenario)

        assert states == {RunArchiveState.COMPLETED}
        contents = scenario.fakes.archive.contents
        parts = [content for name, content in contents.items() if name.startswith("runs/")]
        kept = [json.loads(line)["run"] for part in parts for line in part.splitlines()]
        assert sorted(kept) == sorted(run.run_id for flow in flows for run in flow.runs)
        for name in {name for name, _, _ in lists.given}:
            for cursors in lists.list_readings(name):
                assert len(cursors) == len(set(cursors)), lists.given
        of_runs = [one for one in lists.given if isinstance(one[0], tuple)]
        assert sum(size or 0 for _, _, size in of_runs) <= sum(runs) + lists.count_expired
        assert meter.find_most_in_a_minute() <= calls

    asyncio.run(play())


@LISTS
@given(
    flows=st.integers(0, MOST),
    page=st.integers(1, MOST),
    calls=st.integers(1, 6),
    expires=expiries,
)
@example(flows=MOST, page=1, calls=1, expires=frozenset())
def test_assessment_completes_and_reads_no_page_twice(
    flows: int, page: int, calls: int, expires: frozenset[int]
) -> None:
    """After a cursor has expired, its list is read again."""

    async def play() -> None:
        scenario, lists, meter = Scenario(), Lists(expires), Meter()
        for number in range(flows):
            scenario.build.add_app_setting_caller(scenario.build.add_http_flow(f"Flow {number}"))
        scenario.world.report_page = page
        lists.install(scenario)
        put_on_budget(scenario, BudgetLimit(name="flow-service", calls=calls, window=MINUTE), meter)
        scenario.renew()

        started = await start_background_assessment(scenario)
        await scenario.run(timedelta(hours=6))

        found = await read_assessment(scenario, started)
        assert found.job.state is EnvironmentJobState.COMPLETED, found.job.message
        assert found.answer is not None
        assert len(found.answer.flows) == flows
        assert all("no run" in flow.callers_unknown_reason for flow in found.answer.flows)
        whole = [str(first) if first else "" for first in range(0, max(flows, 1), page)]
        for staying in (True, False):
            *cut, last = lists.list_readings(staying)
            assert last == whole
            assert all(one == whole[: len(one)] for one in cut)
        assert meter.find_most_in_a_minute() <= calls

    asyncio.run(play())


@dataclass(slots=True)
class FewRequests:
    """A Power Apps service with a limit of requests in a minute."""

    clock: Any
    a_minute: int
    lists: Lists
    #: The connectors that were read.
    connectors: list[str] = field(default_factory=list)
    _times: list[Any] = field(default_factory=list)

    def take(self) -> None:
        """Count a request. Raises `ThrottledError` if no request of this minute is left."""
        now = self.clock.now()
        self._times = [one for one in self._times if now - one < MINUTE]
        if len(self._times) >= self.a_minute:
            raise ThrottledError("used up", retry_after=self._times[0] + MINUTE - now)
        self._times.append(now)

    def install(self, scenario: Scenario) -> None:
        def limit_requests(ports: Ports) -> Ports:
            connections: Any = _FewRequestsOf(self, "connections", ports.connections)
            apps: Any = _FewRequestsOf(self, "apps", ports.canvas_apps)
            return replace(ports, connections=connections, canvas_apps=apps)

        scenario.around = limit_requests
        scenario.renew()


@dataclass(slots=True)
class _FewRequestsOf:
    requests: FewRequests
    name: str
    port: Any

    async def read_page(self, environment_id: str, cursor: str = "") -> ResultPage[Any]:
        self.requests.take()
        read = self.port.read_page
        return await self.requests.lists.read_page(
            self.name, cursor, lambda: read(environment_id, cursor)
        )

    async def read_sign_in(self, environment_id: str, connector: str) -> Any:
        self.requests.take()
        self.requests.connectors.append(connector)
        return await self.port.read_sign_in(environment_id, connector)


@LISTS
@given(
    connections=st.integers(0, MOST),
    apps=st.integers(0, MOST),
    page=st.integers(1, MOST),
    calls=st.integers(1, 6),
    expires=expiries,
)
@example(connections=MOST, apps=MOST, page=1, calls=1, expires=frozenset())
def test_assessment_reads_connections_and_canvas_apps_once(
    connections: int, apps: int, page: int, calls: int, expires: frozenset[int]
) -> None:
    async def play() -> None:
        scenario = Scenario()
        flow, owner = scenario.build.add_http_flow("Orders"), scenario.world.add_user("Anna")
        world, environment = scenario.world, scenario.build.environment
        for number in range(connections):
            scenario.build.add_connection(f"c{number}", f"shared_{number % 4}", owner=owner)
        environment.canvas_apps += [
            CanvasApp(
                name=f"a{number}",
                display_name=f"App {number}",
                owner="Anna",
                flow_ids=frozenset({flow.workflow_id}),
            )
            for number in range(apps)
        ]
        world.power_apps_page = page
        requests = FewRequests(world.clock, calls, Lists(expires))
        expected = await assess_environment(scenario.services, environment.id)
        requests.install(scenario)

        started = await start_background_assessment(scenario)
        await scenario.run(timedelta(hours=6))

        found = await read_assessment(scenario, started)
        assert found.job.state is EnvironmentJobState.COMPLETED, found.job.message
        assert remove_times(found.answer) == remove_times(expected)
        assert len(requests.connectors) == len(set(requests.connectors)) == min(connections, 4)
        for name, count in (("connections", connections), ("apps", apps)):
            whole = [str(first) if first else "" for first in range(0, max(count, 1), page)]
            *cut, last = requests.lists.list_readings(name)
            assert last == whole
            assert all(one == whole[: len(one)] for one in cut)

    asyncio.run(play())


@dataclass(slots=True)
class FewReads:
    settings: Any
    clock: Any
    a_minute: int
    reads: list[str] = field(default_factory=list)
    _times: list[Any] = field(default_factory=list)

    async def read_sites(self) -> Any:
        return await self.settings.read_sites()

    async def read(self, site_id: str) -> Any:
        now = self.clock.now()
        self._times = [one for one in self._times if now - one < MINUTE]
        if len(self._times) >= self.a_minute:
            raise ThrottledError("used up", retry_after=self._times[0] + MINUTE - now)
        self._times.append(now)
        self.reads.append(site_id)
        return await self.settings.read(site_id)


@LISTS
@given(flows=st.integers(1, MOST), calls=st.integers(1, 6))
@example(flows=MOST, calls=1)
def test_assessment_searches_each_place_once(flows: int, calls: int) -> None:
    async def play() -> None:
        scenario = Scenario()
        made = [scenario.build.add_http_flow(f"Flow {number}") for number in range(flows)]
        for flow in made:
            scenario.build.add_app_setting_caller(flow, site=flow.name.replace(" ", "-"))
            _add_runs(scenario, flow, 1)
        settings = FewReads(scenario.fakes.ports.app_settings, scenario.world.clock, calls)
        ports: Any = settings
        scenario.around = lambda those: replace(those, app_settings=ports)
        scenario.renew()

        started = await start_background_assessment(scenario)
        await scenario.run(timedelta(hours=6))

        found = await read_assessment(scenario, started)
        assert found.job.state is EnvironmentJobState.COMPLETED, found.job.message
        assert found.answer is not None
        assert {flow.callers_unknown_reason for flow in found.answer.flows} == {""}
        assert all(len(flow.callers) == 1 for flow in found.answer.flows)
        assert sorted(settings.reads) == sorted(set(settings.reads))
        assert await scenario.services.tables.caller_searches.read_all() == []

    asyncio.run(play())
