"""Test that the app notices if the platform accepts a new name of a flow without storing it."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.flow import WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation


class ForgottenNames:
    """A workflows port that accepts some changes of a name without storing them."""

    def __init__(self, port: Any, left: list[int]) -> None:
        """Ignore as many changes as `left` has items."""
        self._port, self._left = port, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def update(
        self, environment: Any, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        if change == WorkflowUpdate(name=change.name) and self._left:
            self._left.pop()
            return
        await self._port.update(environment, workflow_id, change, etag=etag)


async def build_renamed_scenario(times: int) -> tuple[Scenario, list[int]]:
    """Run a remediation in which the platform ignores `times` changes of a name. The list has an
    item for each change that is still to be ignored.
    """
    scenario, left = Scenario(), [1] * times
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))

    def wrap_ports(ports: Ports) -> Ports:
        forgetting: Any = ForgottenNames(ports.workflows, left)
        return replace(ports, workflows=forgetting)

    scenario.around = wrap_ports
    await plan_remediation(scenario)
    await scenario.approve()
    return scenario, left


async def test_job_is_blocked_if_the_platform_ignores_a_name() -> None:
    scenario, left = await build_renamed_scenario(times=99)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.FLOW_NAME_NOT_CHANGED)
    assert_nothing_lost(scenario)

    left.clear()
    await scenario.retry()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.message
    assert scenario.world.get_workflow(job.environment_id, job.copy.id).name == "Orders"


@pytest.mark.parametrize("times", [1, 2])
async def test_ignored_name_is_written_again(times: int) -> None:
    scenario, left = await build_renamed_scenario(times)

    job = await scenario.read_job("Orders")
    assert left == []
    assert job.state is FlowJobState.RETIRED, job.message
    assert scenario.world.get_workflow(job.environment_id, job.copy.id).name == "Orders"
