from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.preparing.prepare_scenario import PREPARE, add_input_flow
from tests.functional.scenarios.remediation_scenario import Scenario

HOUR = timedelta(hours=1)


async def test_rollback_restores_the_definition() -> None:
    scenario = Scenario()
    app = add_input_flow(scenario)
    before = take_snapshot(scenario.world)
    await scenario.opt_in()
    await scenario.order(PREPARE, app.workflow_id)
    await scenario.approve(run=HOUR)

    await scenario.roll_back(run=HOUR)

    job = await scenario.read_job("App")
    assert job.state is FlowJobState.ROLLED_BACK, job.history
    assert "stays in the solution" in job.history[-1].message
    assert find_differences(before, scenario.world) == []


async def test_rollback_writes_the_definition_although_reads_lag() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    before = take_snapshot(scenario.world)
    scenario.world.assumptions.read_lag_seconds = (50, 50)
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)
    await scenario.approve(run=timedelta(seconds=10))
    assert "ListFlowsInEnvironment_V2" in admin.client_data

    await scenario.roll_back(run=HOUR)

    assert (await scenario.read_job("Admin")).state is FlowJobState.ROLLED_BACK
    assert find_differences(before, scenario.world) == []


@pytest.mark.parametrize("undo", [change_remediation.roll_back, change_remediation.cancel])
async def test_rollback_reverts_a_late_conversion(
    undo: Callable[[Services, str], Awaitable[object]],
) -> None:
    scenario = Scenario()
    scenario.build.add_admin_list_flow("Admin")
    before = take_snapshot(scenario.world)
    pause = _BeforeUpdate(sleeps=timedelta(minutes=9), clock=scenario.world.clock)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)
    await scenario.opt_in()
    named = [flow.workflow_id for flow in scenario.world.list_flows()]
    await scenario.order(PREPARE, *named)
    await scenario.approve(run=timedelta(minutes=1))
    assert pause.is_asleep

    await undo(scenario.services, scenario.remediation.id)
    await scenario.run(HOUR)

    assert not pause.is_asleep
    assert (await scenario.read_job("Admin")).state is FlowJobState.ROLLED_BACK
    assert find_differences(before, scenario.world) == []


class _BeforeUpdate(Pause):
    def enter(self, name: str) -> int:
        if name == "FakeWorkflows.update" and self.at is None:
            self.at = self.calls + 1
        return Pause.enter(self, name)


async def test_rollback_leaves_the_flow_in_its_solution() -> None:
    """The platform cannot take a flow out of its solution."""
    scenario = Scenario()
    app = scenario.build.add_power_apps_v1_flow("App")
    await scenario.opt_in()
    await scenario.order(PREPARE)
    await scenario.approve(run=HOUR)

    await scenario.roll_back(run=HOUR)

    assert "stays in the solution" in (await scenario.read_job("App")).history[-1].message
    assert app.in_solution


async def test_rollback_is_blocked_by_an_edit_after_the_conversion() -> None:
    """The old definition would overwrite the edit."""
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)
    await scenario.approve(run=HOUR)
    extra = '"Extra":{"type":"Compose","inputs":1},"Lineage":{'
    admin.client_data = admin.client_data.replace('"Lineage":{', extra, 1)

    await scenario.roll_back(run=HOUR)

    job = await scenario.read_job("Admin")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "converted_flow_edited")
    assert job.archive_name in job.fix
    assert "Extra" in admin.client_data


async def test_cancel_does_not_revert_a_prepared_flow() -> None:
    scenario = Scenario()
    admin = scenario.build.add_admin_list_flow("Admin")
    await scenario.opt_in()
    await scenario.order(PREPARE, admin.workflow_id)
    await scenario.approve(run=HOUR)

    await scenario.driver.call(lambda s: change_remediation.cancel(s, scenario.remediation.id))
    await scenario.run(HOUR)

    assert (await scenario.read_job("Admin")).state is FlowJobState.PREPARED
