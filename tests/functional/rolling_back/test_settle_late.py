"""Test that the daily check corrects what a frozen invocation does after its job is complete."""

import copy
from datetime import timedelta

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.sharing import is_co_owned
from tests.functional.rolling_back.frozen_delivery import MINUTE, freeze, make_scenario
from tests.functional.scenarios.remediation_scenario import Scenario


def list_granted_flows(scenario: Scenario) -> list[str]:
    return [flow.name for flow in scenario.world.list_flows() if is_co_owned(scenario.world, flow)]


@pytest.mark.parametrize("number", [1, 2], ids=["its original", "its copy"])
async def test_daily_check_revokes_a_late_grant(number: int) -> None:
    scenario = make_scenario(
        lambda scenario: scenario.build.add_secret_caller(scenario.build.add_http_flow("Orders"))
    )
    await freeze(scenario, "FakeFlowSharing.grant", number, sleeps=60 * MINUTE)
    await scenario.roll_back(run=timedelta(hours=3))
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert list_granted_flows(scenario) != []

    await scenario.driver.call(lambda s: run_daily_check(s, "today"))

    assert list_granted_flows(scenario) == []
    assert Reason.GRANT_NOT_REVOKED not in [
        told.reason_code for told in scenario.fakes.notices.told
    ]


async def test_daily_check_cancels_a_late_flow_job() -> None:
    scenario = make_scenario(lambda scenario: scenario.build.add_keyword_flow("Orders"))
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(0))
    scenario.renew()
    other = copy.deepcopy(scenario)
    planned = await other.run_until("Orders", FlowJobState.PLANNED)
    await scenario.roll_back(run=timedelta(hours=3))
    assert await scenario.read_jobs() == {}
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.CANCELLED
    await scenario.services.tables.flow_jobs.insert(planned)
    await scenario.run(timedelta(hours=1))
    assert (await scenario.read_job("Orders")).state is FlowJobState.PLANNED

    await scenario.driver.call(lambda s: run_daily_check(s, "today"))
    await scenario.run(timedelta(hours=1))

    assert (await scenario.read_job("Orders")).state is FlowJobState.CANCELLED
    assert [flow.name for flow in scenario.world.list_flows()] == ["Orders"]


async def test_daily_check_does_not_change_a_job_in_progress() -> None:
    scenario = make_scenario(
        lambda scenario: scenario.build.add_secret_caller(scenario.build.add_http_flow("Orders"))
    )
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(0))

    await scenario.driver.call(lambda s: run_daily_check(s, "today"))
    await scenario.run(timedelta(days=3))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
