from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy, Environment
from shared.domain.solution_setting import SolutionSetting, SolutionSettingState
from shared.errors import Conflict, JobBlocked, MustWait, PlatformError, ServiceUnavailable
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.change_solution_setting import (
    SolutionSettingView,
    complete_or_report_unfinished_changes,
    read_solution_setting_change,
    revert_solution_setting,
    show_solution_setting,
    turn_on_solution_setting,
)
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.functional.scenarios.remediation_scenario import Scenario

type Order = Callable[[Services, str], Awaitable[SolutionSettingView]]


async def turn_on(services: Services, environment_id: str) -> SolutionSettingView:
    return await turn_on_solution_setting(services, environment_id, by="ada")


async def revert(services: Services, environment_id: str) -> SolutionSettingView:
    return await revert_solution_setting(services, environment_id, by="bob")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.environment.creates_flows_in_solutions = False
    scenario.build.apply_key()
    await scenario.opt_in()
    return scenario


async def send_request(scenario: Scenario, request: Order) -> SolutionSettingView:
    return await request(scenario.services, scenario.build.environment.id)


async def repeat_until_blocked(scenario: Scenario, request: Order) -> JobBlocked:
    for _ in range(20):
        try:
            await send_request(scenario, request)
        except MustWait as not_yet:
            scenario.world.clock.advance_to(not_yet.until)
        except JobBlocked as blocked:
            return blocked
    raise AssertionError("nobody is notified")


@pytest.mark.parametrize("former", [False, None])
async def test_setting_is_turned_on_and_reverted_exactly(
    scenario: Scenario, former: bool | None
) -> None:
    scenario.build.environment.creates_flows_in_solutions = former

    on = await send_request(scenario, turn_on)
    is_on = scenario.build.environment.creates_flows_in_solutions
    off = await send_request(scenario, revert)

    assert is_on is on.is_on is True
    assert on.change is not None
    assert (on.change.state, on.change.changed_by) == (SolutionSettingState.APPLIED, "ada")
    assert on.change.former_value is former
    assert scenario.build.environment.creates_flows_in_solutions is off.is_on is former
    assert off.change is not None
    assert (off.change.state, off.change.changed_by) == (SolutionSettingState.REVERTED, "bob")


async def test_setting_that_is_on_is_not_written_or_reverted(scenario: Scenario) -> None:
    scenario.build.environment.creates_flows_in_solutions = True

    shown = await send_request(scenario, turn_on)
    with pytest.raises(JobBlocked) as rejected:
        await send_request(scenario, revert)

    assert (shown.is_on, shown.change) == (True, None)
    assert rejected.value.code == Reason.SOLUTION_SETTING_UNCHANGED
    assert scenario.build.environment.creates_flows_in_solutions is True


async def test_later_change_by_a_person_is_kept(scenario: Scenario) -> None:
    scenario.build.environment.creates_flows_in_solutions = None
    await send_request(scenario, turn_on)
    scenario.build.environment.creates_flows_in_solutions = False

    shown = await send_request(scenario, revert)

    assert scenario.build.environment.creates_flows_in_solutions is False
    assert shown.change is not None
    assert shown.change.state is SolutionSettingState.REVERTED


@pytest.mark.parametrize("sent", [turn_on, revert])
async def test_kill_switch_stops_the_change(scenario: Scenario, sent: Order) -> None:
    if sent is revert:
        await send_request(scenario, turn_on)
    before = await send_request(scenario, show_solution_setting)
    await set_kill_switch(scenario.services, is_on=True, by="eve", reason="audit")

    with pytest.raises(MustWait) as stopped:
        await send_request(scenario, sent)

    assert stopped.value.code == Reason.KILL_SWITCH_ON
    assert "job" not in str(stopped.value)
    assert await send_request(scenario, show_solution_setting) == before


async def test_read_only_environment_is_not_changed(scenario: Scenario) -> None:
    scenario.mode = ApprovalPolicy.READ_ONLY
    await scenario.opt_in()

    with pytest.raises(JobBlocked) as rejected:
        await send_request(scenario, turn_on)

    assert rejected.value.code == Reason.ENVIRONMENT_READ_ONLY
    assert scenario.build.environment.creates_flows_in_solutions is False


@pytest.mark.parametrize(
    ("sent", "left"),
    [(turn_on, SolutionSettingState.REVERTED), (revert, SolutionSettingState.APPLIED)],
)
async def test_change_that_is_not_kept_is_reported(
    scenario: Scenario, sent: Order, left: SolutionSettingState
) -> None:
    if sent is revert:
        await send_request(scenario, turn_on)
    scenario.world.assumptions.organization_changes_that_do_not_stick = 9999

    blocked = await repeat_until_blocked(scenario, sent)

    change = await read_solution_setting_change(scenario.services, scenario.build.environment.id)
    assert blocked.code == Reason.SOLUTION_SETTING_NOT_KEPT
    assert "admin center" in blocked.fix
    assert change is not None
    assert (change.state, change.unseen_since) == (left, None)
    scenario.world.assumptions.organization_changes_that_do_not_stick = 0
    shown = await send_request(scenario, sent)
    assert shown.is_on is (sent is turn_on)


async def interrupt(scenario: Scenario, request: Order, *, is_done: bool) -> None:
    """Send a request whose write gets no answer. If `is_done`, Dataverse has made the change."""
    inner = scenario.services.organization

    class Interrupted:
        async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
            return await inner.read_solution_setting(environment)

        async def write_solution_setting(self, *place: object, is_on: bool | None) -> None:
            if is_done:
                await inner.write_solution_setting(*place, is_on=is_on)  # type: ignore[arg-type]
            raise ServiceUnavailable("no answer")

    services = replace(scenario.services, organization=Interrupted())  # type: ignore[arg-type]
    with pytest.raises(ServiceUnavailable):
        await request(services, scenario.build.environment.id)


@pytest.mark.parametrize("is_done", [True, False])
async def test_daily_check_completes_or_reports_an_interrupted_change(
    scenario: Scenario, is_done: bool
) -> None:
    await interrupt(scenario, turn_on, is_done=is_done)

    await scenario.driver.call(lambda s: run_daily_check(s, "soon"))
    soon = {one.reason_code for one in scenario.fakes.notices.told}
    scenario.world.clock.advance(timedelta(hours=2))
    await scenario.driver.call(lambda s: run_daily_check(s, "later"))

    change = await read_solution_setting_change(scenario.services, scenario.build.environment.id)
    later = {one.reason_code for one in scenario.fakes.notices.told}
    assert change is not None
    assert change.is_under_way is not is_done
    assert Reason.SOLUTION_SETTING_UNFINISHED not in soon
    assert (Reason.SOLUTION_SETTING_UNFINISHED in later) is not is_done
    assert (await send_request(scenario, turn_on)).is_on


async def test_interrupted_change_is_reverted_although_reads_show_the_former_value(
    scenario: Scenario,
) -> None:
    """The interrupted write may take effect later."""
    await interrupt(scenario, turn_on, is_done=False)
    written = []
    inner = scenario.services.organization

    class Counted:
        async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
            return await inner.read_solution_setting(environment)

        async def write_solution_setting(self, *place: object, is_on: bool | None) -> None:
            written.append(is_on)
            await inner.write_solution_setting(*place, is_on=is_on)  # type: ignore[arg-type]

    services = replace(scenario.services, organization=Counted())  # type: ignore[arg-type]
    shown = await revert(services, scenario.build.environment.id)

    assert written == [False]
    assert shown.change is not None
    assert shown.change.state is SolutionSettingState.REVERTED


class Reading:
    """A port of the solution setting that calls a function at each read."""

    def __init__(self, scenario: Scenario, read: Callable[[SolutionSetting], object]) -> None:
        self._inner, self._read = scenario.services.organization, read

    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        seen = await self._inner.read_solution_setting(environment)
        happened = self._read(seen)
        if isinstance(happened, Awaitable):
            await happened
        return seen

    async def write_solution_setting(self, *place: object, is_on: bool | None) -> None:
        await self._inner.write_solution_setting(*place, is_on=is_on)  # type: ignore[arg-type]


async def test_daily_check_reports_a_change_in_an_environment_that_it_cannot_read(
    scenario: Scenario,
) -> None:
    await interrupt(scenario, turn_on, is_done=True)
    scenario.world.clock.advance(timedelta(hours=2))

    def reject(_: SolutionSetting) -> None:
        raise PlatformError("no role", code="Forbidden", status=403)

    organization = Reading(scenario, reject)
    services = replace(scenario.services, organization=organization)  # type: ignore[arg-type]
    await complete_or_report_unfinished_changes(services)

    [alert] = scenario.fakes.notices.told
    assert alert.reason_code == Reason.SOLUTION_SETTING_UNFINISHED
    assert alert.message.endswith("which is not confirmed. It cannot be read: Forbidden: no role")


async def test_paused_daily_check_does_not_overwrite_a_later_revert(scenario: Scenario) -> None:
    await interrupt(scenario, turn_on, is_done=True)
    scenario.world.clock.advance(timedelta(hours=2))

    organization = Reading(scenario, lambda _: send_request(scenario, revert))
    services = replace(scenario.services, organization=organization)  # type: ignore[arg-type]
    await complete_or_report_unfinished_changes(services)

    change = await read_solution_setting_change(scenario.services, scenario.build.environment.id)
    assert change is not None
    assert change.state is SolutionSettingState.REVERTED


async def test_paused_request_does_not_overwrite_a_later_revert(scenario: Scenario) -> None:
    async def revert_after_the_lease(seen: SolutionSetting) -> None:
        if seen.is_on:
            scenario.world.clock.advance(2 * scenario.settings.resource_lease_duration)
            await send_request(scenario, revert)

    organization = Reading(scenario, revert_after_the_lease)
    services = replace(scenario.services, organization=organization)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        await turn_on(services, scenario.build.environment.id)

    change = await read_solution_setting_change(scenario.services, scenario.build.environment.id)
    assert change is not None
    assert change.state is SolutionSettingState.REVERTED


@pytest.mark.parametrize("sent", [show_solution_setting, turn_on, revert])
async def test_environment_without_dataverse_has_no_setting(
    scenario: Scenario, sent: Order
) -> None:
    scenario.build.environment.dataverse_url = None

    with pytest.raises(JobBlocked, match="has no Dataverse") as rejected:
        await send_request(scenario, sent)

    assert "Add Dataverse" in rejected.value.fix
