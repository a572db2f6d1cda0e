"""Test that a rollback waits for writes that may still take effect, and reverts them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain.jobs.flow_job import RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import ServiceUnavailable
from shared.use_cases import change_remediation
from tests.fakes.crash import Killed
from tests.fakes.invariants import watch
from tests.fakes.ports import Ports
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_run_until

MINUTE = timedelta(minutes=1)


class Late:
    """An app settings port that does not answer one write. The test can make this write later."""

    def __init__(self, settings: object, at: int) -> None:
        self._settings = settings
        self._at = at
        self._writes = 0
        self.wanted: tuple[str, dict[str, str]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        self._writes += 1
        if self._writes == self._at:
            self.wanted = (site_id, dict(settings))
            raise ServiceUnavailable("no answer in time")
        await self._settings.write(site_id, settings)  # type: ignore[attr-defined]


async def test_write_that_takes_effect_after_the_revert_is_reverted() -> None:
    """A write without an answer may take effect after the caller was reverted."""
    scenario = Scenario(
        settings=Scenario().settings.model_copy(update={"no_call_period": 30 * MINUTE})
    )
    site = scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    scenario.build.share_connections()
    before = take_snapshot(scenario.world)
    watch(scenario.world)
    late = Late(scenario.fakes.ports.app_settings, at=1)
    scenario.around = build_wrapper(late)
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.UPDATING_CALLERS)
    await scenario.run(timedelta(0))
    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(timedelta(seconds=20))
    job = await scenario.read_job("Orders")
    assert job.rollback_stage in {RollbackStage.CHECK_COPY_FOR_CALLS, RollbackStage.TURN_OFF_COPY}

    assert late.wanted is not None
    site.settings = late.wanted[1]
    await scenario.run(timedelta(days=1))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK
    assert any("had not completed" in change.message for change in job.history)
    assert find_differences(before, scenario.world) == []
    scenario.world.traffic.beat(scenario.world)
    assert scenario.world.traffic.lost_calls == []
    assert scenario.world.violations == []


async def test_rollback_does_not_wait_if_no_write_is_in_flight() -> None:
    scenario = Scenario()
    scenario.build.add_keyword_flow("Keyword")
    await plan_and_run_until(scenario, "Keyword", FlowJobState.MONITORING)

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(2 * scenario.settings.read_lag)

    assert (await scenario.read_job("Keyword")).state is FlowJobState.ROLLED_BACK


def build_wrapper(late: Late) -> Callable[[Ports], Ports]:
    return lambda ports: replace(ports, app_settings=late)


async def test_late_write_of_another_job_is_reverted_before_the_copy_is_turned_off() -> None:
    """All settings of a site are written together."""
    scenario = Scenario()
    site = scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    scenario.build.share_connections()
    before = take_snapshot(scenario.world)
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(days=1))
    moved = dict(site.settings)

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(timedelta(0))
    site.settings = moved
    await scenario.run(timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert find_differences(before, scenario.world) == []


async def test_dependent_flows_roll_back_after_a_kill_between_write_and_row() -> None:
    """A parent can be turned on only if its child is on."""
    scenario = Scenario()
    scenario.build.add_family("Billing")
    scenario.build.apply_key()
    scenario.build.share_connections()
    before = take_snapshot(scenario.world)
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Billing grandparent", FlowJobState.RETIRED)
    child = await scenario.read_job("Billing parent")
    original = scenario.world.get_workflow(child.environment_id, child.original.id)

    def kill_after_stop(_: object = None) -> list[str]:
        if not original.is_on:
            raise Killed
        return []

    scenario.world.watchers.append(kill_after_stop)
    scenario.driver.meanwhile = kill_after_stop  # no other invocation continues
    with suppress(Killed):
        await scenario.run(timedelta(days=20))
    scenario.world.watchers.clear()
    scenario.driver.meanwhile = list
    assert (await scenario.read_job("Billing parent")).state is not FlowJobState.RETIRED

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(timedelta(days=40))

    assert {job.state for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    assert find_differences(before, scenario.world) == []
