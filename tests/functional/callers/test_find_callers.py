from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.callers.app_setting import AppSettingCallers
from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerSearchProgress
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.power_apps import CanvasApp
from shared.errors import JobBlocked, LeaseLost, PlatformError, ThrottledError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import Site
from shared.services import Services
from shared.steps.updating_callers.find_callers import CallerSearchRequest, find_callers
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.app_settings import FakeAppSettings
from tests.functional.scenarios.remediation_scenario import Scenario

SITES = 25
BUDGET = 4


class ScarceSettings(FakeAppSettings):
    """An app settings port with many apps. The budget allows a few reads at a time."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario.world)
        self._scenario = scenario
        self.left = 0
        self.read_ids: list[str] = []
        self.closed = ""

    async def read_sites(self) -> list[Site]:
        """Return all apps, in random order."""
        ids = [f"/sites/{number:03}" for number in range(SITES)]
        self._scenario.world.random.shuffle(ids)
        return [Site(id=one, name=one, hosts=()) for one in ids]

    async def read(self, site_id: str) -> dict[str, str]:
        if self.left == 0:
            raise ThrottledError("used up", retry_after=timedelta(minutes=1))
        self.left -= 1
        self.read_ids.append(site_id)
        if site_id == self.closed:
            raise PlatformError("no access", code="AuthorizationFailed", status=403)
        flow = next(iter(self._scenario.build.environment.flows.values()))
        return {"FLOW_URL": self._scenario.build.get_trigger_url(flow), "OTHER": "stays"}

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        raise AssertionError(f"{site_id} was written")


def build_progress_rows(
    services: Services, number: int | None = 1
) -> FencedRows[CallerSearchProgress]:
    return FencedRows(services.tables.caller_searches, "job", number)


async def test_search_of_more_apps_than_the_budget_allows_completes() -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    settings = ScarceSettings(scenario)
    settings.closed = "/sites/003"
    services = scenario.services
    ports = scenario.fakes.ports
    kind = AppSettingCallers(settings, ports.secrets, ports.keys)
    services = replace(services, callers={kind.kind: kind})
    here = scenario.build.environment.build_environment()
    request = CallerSearchRequest(environment=here, everywhere=[here])

    stops, findings = 0, None
    while findings is None:
        settings.left = BUDGET
        try:
            findings = await find_callers(services, request, build_progress_rows(services))
        except ThrottledError:
            stops += 1

    found = await services.tables.caller_index.read_all(flow.trigger_url_id)
    assert stops == SITES // BUDGET
    assert sorted(settings.read_ids) == sorted(set(settings.read_ids))
    assert len(found) == SITES - 1
    assert len(findings) == 1
    assert "app /sites/003 (AuthorizationFailed)" in findings[0]
    assert await services.tables.caller_searches.read_all("job") == []


@pytest.mark.parametrize("numbers", [(1, 2), (None, None)])
async def test_search_that_lost_its_lease_removes_its_progress(
    numbers: tuple[int | None, int | None],
) -> None:
    scenario = Scenario()
    services, here = scenario.services, scenario.build.environment.build_environment()
    request = CallerSearchRequest(environment=here, everywhere=[here])
    older, newer = (build_progress_rows(services, number) for number in numbers)

    class Freezes(AppSettingCallers):
        """A kind that lets another invocation complete its search before this one continues."""

        async def find(
            self, environments: Sequence[Environment], search: CallerSearchPosition | None = None
        ) -> AsyncIterator[Caller]:
            await find_callers(services, request, newer)
            async for caller in super().find(environments, search):
                yield caller

    ports = scenario.fakes.ports
    kind = Freezes(ports.app_settings, ports.secrets, ports.keys)
    frozen = replace(services, callers={kind.kind: kind})
    with pytest.raises(LeaseLost):
        await find_callers(frozen, request, older)

    assert await services.tables.caller_searches.read_all("job") == []


async def test_continued_search_reports_an_unreadable_app_once() -> None:
    scenario = Scenario()
    gap = "Cannot read the document of app Requests (Refused)."
    app = CanvasApp(
        name="app", display_name="Requests", owner="", flow_ids=frozenset("x"), unknown_reason=gap
    )
    scenario.build.environment.canvas_apps.append(app)
    kind = scenario.services.callers["canvas_app"]
    here, search = scenario.build.environment.build_environment(), CallerSearchPosition()

    for _ in range(2):
        search.continue_after = ""
        with pytest.raises(JobBlocked):
            [one async for one in kind.find([here], search)]

    assert search.unreadable == [gap]


async def test_daily_check_removes_abandoned_search_progress() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    settings = ScarceSettings(scenario)
    ports = scenario.fakes.ports
    kind = AppSettingCallers(settings, ports.secrets, ports.keys)
    services = replace(scenario.services, callers={kind.kind: kind})
    here = scenario.build.environment.build_environment()
    request = CallerSearchRequest(environment=here, everywhere=[here])
    settings.left = BUDGET
    with pytest.raises(ThrottledError):
        await find_callers(services, request, build_progress_rows(services))

    await run_daily_check(scenario.services, "day-1")
    young = await services.tables.caller_searches.read_all("job")
    scenario.world.clock.advance(timedelta(hours=25))
    await run_daily_check(scenario.services, "day-2")

    assert [one.continue_after for one in young] == [f"/sites/{BUDGET - 1:03}"]
    assert await services.tables.caller_searches.read_all("job") == []


async def test_search_names_an_unreadable_environment_and_searches_the_others() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_flow_caller(orders)
    whole = scenario.services.callers["flow"]
    here = scenario.build.environment.build_environment()
    closed = replace(here, id="0-closed", display_name="Closed")

    class OneIsClosed:
        def list(self, environment: object, *, managed_only: bool = False) -> object:
            if environment is closed:
                raise PlatformError("no user", code="0x80072560", status=403)
            return scenario.fakes.ports.workflows.list(here, managed_only=managed_only)

    whole._workflows = OneIsClosed()  # type: ignore[attr-defined]  # the one port it reads

    found: list[Caller] = []

    async def search() -> None:
        async for caller in whole.find([closed, here]):
            found.append(caller)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(JobBlocked, match="environment Closed"):
        await search()

    assert [one.label for one in found] == ["flow Caller"]
