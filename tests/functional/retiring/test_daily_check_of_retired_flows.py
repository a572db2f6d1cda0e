"""Test the daily check of retired originals that are on again and of orphaned copies."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, FlowState, WorkflowSummary
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.keys.key import KeyVault
from shared.domain.plans.remediation import RemediationMode
from shared.errors import CmkflowError, NotFound, PlatformError, ServiceUnavailable, ThrottledError
from shared.ports import ResultPage
from shared.queues import ENVIRONMENT_JOBS
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.driver import USE_CASES
from tests.functional.rolling_back.frozen_delivery import freeze, make_scenario
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_approve,
    plan_remediation,
)
from tests.functional.scenarios.two_environments import TwoEnvironments


class NoRow:
    """A Dataverse port in which the row of one flow is missing."""

    def __init__(self, services: Services, workflow_id: str) -> None:
        self._workflows: Any = services.workflows
        self._missing = workflow_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflows, name)

    async def read_summaries(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        found: dict[str, WorkflowSummary | CmkflowError]
        found = await self._workflows.read_summaries(environment, workflow_ids)
        return {
            one: NotFound("no row") if one == self._missing else known
            for one, known in found.items()
        }


class ClosedIn:
    """A Dataverse port that returns an error for each flow of one environment."""

    def __init__(self, services: Services, environment_id: str, error: CmkflowError) -> None:
        self._workflows: Any = services.workflows
        self._closed = environment_id
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflows, name)

    async def read_summaries(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        if environment.id == self._closed:
            return dict.fromkeys(workflow_ids, self._error)
        found: dict[str, WorkflowSummary | CmkflowError]
        found = await self._workflows.read_summaries(environment, workflow_ids)
        return found


class SilentVault:
    """A Key Vault port in which no vault answers."""

    def __init__(self, services: Services) -> None:
        self._keys: Any = services.keys

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    async def read_vault(self, vault_id: str) -> KeyVault:
        raise ServiceUnavailable(f"no answer from {vault_id}")


class Lists:
    """A flow service whose list of flows lacks their states, or is throttled if `is_busy` is
    set.
    """

    def __init__(self, services: Services, *, is_busy: bool = False) -> None:
        self._pages: Any = services.flow_pages
        self._is_busy = is_busy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pages, name)

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        if self._is_busy:
            raise ThrottledError("used up")
        page = await self._pages.read_flows(environment_id, cursor)
        return replace(page, items=tuple(replace(one, state=None) for one in page.items))


async def build_retired_scenario() -> tuple[Scenario, Services]:
    """Return a scenario whose retired original has no row in Dataverse and is on again."""
    scenario = Scenario()
    form = scenario.build.add_power_apps_v1_flow("Old form")
    await plan_and_approve(scenario)
    assert (await scenario.read_job("Old form")).state is FlowJobState.RETIRED
    form.state = FlowState.ON
    services = scenario.services
    return scenario, replace(services, workflows=NoRow(services, form.workflow_id))


@pytest.mark.parametrize("is_bare", [False, True])
async def test_original_without_a_row_that_is_on_again_is_reported(is_bare: bool) -> None:
    _, services = await build_retired_scenario()
    if is_bare:
        services = replace(services, flow_pages=Lists(services))

    result = await run_daily_check(services, "today")

    assert result.retired_originals_on == ("Old form",)


async def test_throttled_flow_service_does_not_stop_the_daily_check(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scenario, services = await build_retired_scenario()
    services = replace(services, flow_pages=Lists(services, is_busy=True))
    before = len(await scenario.services.tables.remediations.read_all())

    result = await run_daily_check(services, "today")

    assert result.retired_originals_on == ()
    assert result.not_checked_count == 1
    assert "1 of 1 retired originals without a row in Dataverse" in caplog.text
    assert len(await scenario.services.tables.remediations.read_all()) == before + 1


@pytest.mark.parametrize(
    "silent", [ThrottledError("used up"), PlatformError("no", code="403", status=403)]
)
async def test_unreachable_environment_does_not_stop_the_daily_check(
    caplog: pytest.LogCaptureFixture, silent: CmkflowError
) -> None:
    scenario = TwoEnvironments()
    flows = [
        build.add_http_flow(f"Orders of {build.environment.display_name}")
        for build in scenario.builders
    ]
    scenario.prepare()
    await scenario.opt_in_both()
    await scenario.start_remediation_of(*scenario.builders)
    await scenario.run(timedelta(days=30))
    for flow in flows:
        flow.state = FlowState.ON
    closed = scenario.build.environment
    services = replace(scenario.services, workflows=ClosedIn(scenario.services, closed.id, silent))
    before = len(await services.tables.remediations.read_all())

    result = await run_daily_check(services, "today")

    assert result.retired_originals_on == (f"Orders of {scenario.other.environment.display_name}",)
    assert f"1 of 1 retired originals in {closed.display_name} were not checked" in caplog.text
    assert result.not_checked_count == 1
    assert len(await services.tables.remediations.read_all()) == before + 2


async def test_unreachable_vault_does_not_stop_the_daily_check(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scenario, services = await build_retired_scenario()
    services = replace(services, keys=SilentVault(services))
    before = len(await scenario.services.tables.remediations.read_all())

    result = await run_daily_check(services, "today")

    assert result.retired_originals_on == ("Old form",)
    assert "key of policy cmk-eu not checked" in caplog.text
    assert len(await scenario.services.tables.remediations.read_all()) == before + 1


async def test_original_without_a_row_that_is_off_or_deleted_is_not_reported() -> None:
    scenario, services = await build_retired_scenario()
    form = next(one for one in scenario.world.list_flows() if one.name.startswith("Old form"))
    form.state = FlowState.OFF

    off = (await run_daily_check(services, "today")).retired_originals_on
    form.is_deleted = True
    gone = (await run_daily_check(services, "tomorrow")).retired_originals_on

    assert off == gone == ()


async def test_daily_check_starts_no_second_plan_beside_one_that_awaits_approval() -> None:
    scenario = Scenario()
    scenario.build.add_flow("Orders", define.build_http_trigger(), {})
    await plan_remediation(scenario)

    await run_daily_check(scenario.services, "2026-11-02")
    (before,) = await scenario.services.tables.remediations.read_all()
    await scenario.run(timedelta(days=8))
    await run_daily_check(scenario.services, "2026-11-10")
    await scenario.run(timedelta(hours=1))

    after = await scenario.services.tables.remediations.read_all()
    assert before == scenario.remediation
    assert len(after) == 2
    states = {job.state for job in await scenario.services.tables.environment_jobs.read_all()}
    assert states == {EnvironmentJobState.CANCELLED, EnvironmentJobState.AWAITING_APPROVAL}


async def test_daily_check_starts_a_remediation_beside_one_for_a_single_flow() -> None:
    scenario = Scenario()
    flow = scenario.build.add_flow("Orders", define.build_http_trigger(), {})
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(RemediationMode.APPLY, flow.workflow_id)

    await run_daily_check(scenario.services, "2026-11-02")

    assert len(await scenario.services.tables.remediations.read_all()) == 2


async def build_rolled_back_scenario() -> Scenario:
    """Return a scenario whose job is rolled back and whose copy is on."""
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_and_approve(scenario)
    await scenario.roll_back()
    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK
    scenario.world.get_workflow(job.environment_id, job.copy.id).state = FlowState.ON
    return scenario


async def test_daily_check_turns_off_an_orphaned_copy_and_notifies_once_a_day() -> None:
    """A copy that is on after the rollback of its job is orphaned."""
    scenario = await build_rolled_back_scenario()
    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)

    await run_daily_check(scenario.services, "today")
    first = copy.state
    copy.state = FlowState.ON
    await run_daily_check(scenario.services, "today")

    assert (first, copy.state) == (FlowState.OFF, FlowState.OFF)
    (told,) = scenario.fakes.notices.told
    assert (told.reason_code, told.row[2]) == ("orphaned_copy", job.id)
    assert "The job of Orders is rolled_back." in told.message
    after = await scenario.read_job("Orders")
    assert (after.state, after.leased_until) == (FlowJobState.ROLLED_BACK, None)


async def test_orphaned_copy_stays_on_while_its_original_is_off() -> None:
    """Otherwise both flows would be off."""
    scenario = await build_rolled_back_scenario()
    job = await scenario.read_job("Orders")
    scenario.world.get_workflow(job.environment_id, job.original.id).state = FlowState.OFF

    await run_daily_check(scenario.services, "today")

    assert scenario.world.get_workflow(job.environment_id, job.copy.id).is_on
    assert "the copy stays on" in scenario.fakes.notices.told[0].message


async def test_copy_that_a_rollback_turned_off_is_not_reported() -> None:
    scenario = await build_rolled_back_scenario()
    job = await scenario.read_job("Orders")
    scenario.world.get_workflow(job.environment_id, job.copy.id).state = FlowState.OFF
    await run_daily_check(scenario.services, "today")
    await scenario.order(RemediationMode.APPLY, job.original.id, cause="again")
    scenario.driver.use_cases = {ENVIRONMENT_JOBS: USE_CASES[ENVIRONMENT_JOBS]}
    await scenario.approve(run=timedelta(hours=1))
    await change_remediation.cancel(scenario.services, scenario.remediation.id)
    scenario.driver.use_cases = USE_CASES
    await scenario.run(timedelta(hours=1))
    after = await scenario.read_job("Orders")

    await run_daily_check(scenario.services, "tomorrow")

    assert after.state is FlowJobState.CANCELLED
    assert scenario.fakes.notices.told == []


@pytest.mark.parametrize("sleep", [timedelta(minutes=9), timedelta(days=2)])
async def test_copy_created_after_the_rollback_is_reported(
    sleep: timedelta,
) -> None:
    scenario = make_scenario(lambda s: s.build.add_http_flow("Orders"))
    await freeze(scenario, "FakeWorkflows.create", sleeps=sleep)
    job = await scenario.read_job("Orders")
    await change_remediation.cancel(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(days=3))
    after = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)

    await run_daily_check(scenario.services, "today")

    is_late = sleep > timedelta(hours=1)
    assert (after.state, copy.state) == (FlowJobState.ROLLED_BACK, FlowState.OFF)
    assert after.history[-1].message.endswith(
        "there is no copy." if is_late else "the copy is off."
    )
    told = [
        (one.reason_code, copy.workflow_id in one.message) for one in scenario.fakes.notices.told
    ]
    assert told == [("orphaned_copy", True)] * is_late


async def test_orphaned_copy_stays_on_while_the_kill_switch_is_on() -> None:
    scenario = await build_rolled_back_scenario()
    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="")

    await run_daily_check(scenario.services, "today")

    meanwhile = copy.state
    assert [one.reason_code for one in scenario.fakes.notices.told] == ["orphaned_copy"]
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="")
    await run_daily_check(scenario.services, "tomorrow")
    assert (meanwhile, copy.state) == (FlowState.ON, FlowState.OFF)
