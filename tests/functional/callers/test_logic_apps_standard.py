import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.ports import SiteFile
from tests.fakes.resource_reader import FakeResourceReader
from tests.fakes.site_files import FakeSiteFiles
from tests.functional.callers.called_tenant import Tenant
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

KIND = "logic_app_standard"


def edit_file(tenant: Tenant, place: tuple[str, str]) -> None:
    there = tenant.world.site_files[place]
    tenant.world.site_files[place] = SiteFile(text=f"{there.text}\n", etag="99")


@pytest.mark.parametrize("path", ["call/workflow.json", "connections.json", "parameters.json"])
async def test_write_changes_only_the_url(tenant: Tenant, path: str) -> None:
    place = tenant.builder.add_workflow_file_caller(tenant.original, path=path)
    before = tenant.world.site_files[place].text

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    moved = tenant.world.site_files[place].text
    calls = tenant.count_runs_after_a_beat()
    await tenant.revert_caller(caller, old)

    url = tenant.builder.get_trigger_url(tenant.copy)
    assert moved == json.dumps([{"uri": url}], indent=2)
    assert calls == (0, 1)
    assert tenant.world.site_files[place].text == before


async def test_write_after_an_edit_is_a_conflict(tenant: Tenant) -> None:
    place = tenant.builder.add_workflow_file_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    edit_file(tenant, place)

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="x"))

    assert tenant.world.site_files[place].text == f"{content.text}\n"


async def test_edit_between_read_and_write_of_the_same_request_is_kept(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write sends the ETag that was read just before it."""
    place = tenant.builder.add_workflow_file_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    read = tenant.kinds[KIND].read

    async def read_before_an_edit(read_caller: Caller) -> CallerContent:
        found = await read(read_caller)
        edit_file(tenant, place)
        return found

    monkeypatch.setattr(tenant.kinds[KIND], "read", read_before_an_edit)
    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="x"))

    assert tenant.world.site_files[place].text == f"{content.text}\n"


@pytest.mark.parametrize(
    ("package", "is_manual"), [("1", True), ("https://blob.example", True), ("0", False)]
)
async def test_app_that_runs_from_a_package_is_changed_by_a_person(
    tenant: Tenant, package: str, *, is_manual: bool
) -> None:
    """The files of such an app are read-only."""
    site_id, _ = tenant.builder.add_workflow_file_caller(tenant.original)
    tenant.world.sites[site_id].settings["WEBSITE_RUN_FROM_PACKAGE"] = package

    [caller] = await tenant.list_found_callers(KIND)

    assert ("runs from a package" in caller.manual_reason) is is_manual


async def test_settings_of_a_logic_app_are_callers_of_the_kind_app_setting(tenant: Tenant) -> None:
    tenant.builder.add_app_setting_caller(tenant.original, site="hub")
    tenant.builder.add_workflow_file_caller(tenant.original, site="hub")

    found = [(await tenant.list_found_callers(kind))[0].label for kind in ("app_setting", KIND)]

    assert found == [
        "setting FLOW_URL of the app hub",
        "file call/workflow.json of the logic app hub",
    ]


async def test_app_whose_files_cannot_be_read_is_reported(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped app, for example, does not return its files."""

    async def reject(*_: object) -> None:
        raise PlatformError("no", code="AuthorizationFailed", status=403)

    tenant.builder.add_workflow_file_caller(tenant.original)
    monkeypatch.setattr(FakeSiteFiles, "read", reject)
    search = CallerSearchPosition()

    with pytest.raises(JobBlocked):
        _ = [caller async for caller in tenant.kinds[KIND].find([], search)]

    assert search.unreadable == ["logic app hub (AuthorizationFailed)"]


async def test_callers_are_found_although_the_locks_cannot_be_read(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reject(*_: object) -> None:
        raise PlatformError("no", code="AuthorizationFailed", status=403)

    tenant.builder.add_workflow_file_caller(tenant.original)
    monkeypatch.setattr(FakeResourceReader, "list", reject)
    search, found = CallerSearchPosition(), list[Caller]()

    async def collect_callers() -> None:
        async for caller in tenant.kinds[KIND].find([], search):
            found.append(caller)

    with pytest.raises(JobBlocked):
        await collect_callers()

    assert len(found) == 1
    assert "read-only locks" in " ".join(search.unreadable)


class RestartingFiles:
    """Site files whose runtime does not answer for a minute after each change."""

    def __init__(self, scenario: Scenario) -> None:
        self._port = scenario.fakes.ports.site_files
        self._clock = scenario.world.clock
        self._back_at = self._clock.now()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def read(self, site_id: str, path: str) -> SiteFile:
        self._require_runtime()
        return await self._port.read(site_id, path)

    async def write(self, site_id: str, path: str, text: str, *, etag: str) -> None:
        self._require_runtime()
        await self._port.write(site_id, path, text, etag=etag)
        self._back_at = self._clock.now() + timedelta(minutes=1)

    def _require_runtime(self) -> None:
        if self._clock.now() < self._back_at:
            text = "Encountered an error (ServiceUnavailable) from host runtime."
            raise PlatformError(text, code="BadRequest", status=400)


async def test_runtime_that_restarts_after_each_write_is_waited_for() -> None:
    """During the restart, Azure answers with status 400, as for content that it rejects."""
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    flow = scenario.build.add_http_flow("Orders")
    for path in ("call/workflow.json", "parameters.json"):
        scenario.build.add_workflow_file_caller(flow, path=path)
    restarting = cast("Any", RestartingFiles(scenario))
    scenario.around = lambda ports: replace(ports, site_files=restarting)
    scenario.renew()

    await plan_remediation(scenario)
    await scenario.run(timedelta(days=30))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
    assert_nothing_lost(scenario)
