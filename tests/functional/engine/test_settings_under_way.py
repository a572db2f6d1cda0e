"""Test that the kill switch and a read-only setting stop an invocation in progress."""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import StoreRow
from shared.reason import Reason
from shared.steps.step_context import LATELY
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

SECOND = timedelta(seconds=1)


class Reads:
    """A recorder of the tables from which the app reads single rows."""

    def __init__(self, scenario: Scenario) -> None:
        self.tables: list[str] = []
        self._get = scenario.fakes.store.get

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        self.tables.append(table)
        return await self._get(table, partition, key)


async def build_planned_scenario(monkeypatch: pytest.MonkeyPatch) -> tuple[Scenario, Reads]:
    """Return a scenario with a plan, and a recorder of the tables that the app reads from then
    on.
    """
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    reads = Reads(scenario)
    monkeypatch.setattr(scenario.fakes.store, "get", reads.get)
    return scenario, reads


async def test_kill_switch_is_read_before_each_write_and_settings_are_cached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, reads = await build_planned_scenario(monkeypatch)

    await scenario.approve()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert reads.tables.count("killswitch") >= len(scenario.world.writes) >= 8
    assert 1 <= reads.tables.count("environmentsettings") <= 12


async def test_read_only_environment_stops_an_invocation_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, _ = await build_planned_scenario(monkeypatch)
    environment = scenario.build.environment.id
    create = scenario.fakes.ports.workflows.create

    async def create_and_take_back(*arguments: object) -> None:
        await create(*arguments)  # type: ignore[arg-type]  # whatever it was given
        await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY, environment)
        scenario.world.clock.advance(LATELY + SECOND)

    monkeypatch.setattr(scenario.fakes.ports.workflows, "create", create_and_take_back)

    await scenario.approve(run=SECOND)

    job = await scenario.read_job("Orders")
    assert job.needs_action
    assert job.reason_code == Reason.ENVIRONMENT_READ_ONLY
    copy = scenario.build.environment.flows[job.copy.id]
    assert not copy.is_on
