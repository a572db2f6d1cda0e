"""A flow reads the new value of an environment variable only when it is saved."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.use_cases import change_remediation
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

HOUR = timedelta(hours=1)


class SaveCounter:
    """Counts the saves of one flow. While `drops` is true, a save changes nothing."""

    def __init__(self, scenario: Scenario, flow: FakeFlow) -> None:
        self.count = 0
        self.drops = False
        workflows = scenario.fakes.ports.workflows
        update = workflows.update

        async def count_and_update(
            environment: Environment, workflow_id: str, change: WorkflowUpdate, **etag: Any
        ) -> None:
            if workflow_id == flow.workflow_id and change.client_data is not None:
                if not self.drops:
                    await update(environment, workflow_id, change, **etag)
                self.count += 1
                return
            await update(environment, workflow_id, change, **etag)

        workflows.update = count_and_update  # type: ignore[method-assign]


def build_scenario_of_variable() -> tuple[Scenario, FakeFlow, SaveCounter]:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    _, user = scenario.build.add_variable_caller(orders)
    return scenario, user, SaveCounter(scenario, user)


async def test_job_is_blocked_if_the_platform_does_not_keep_a_save() -> None:
    scenario, user, saves = build_scenario_of_variable()
    saves.drops = True
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CALLER_WRITE_LOST)
    assert job.message.endswith(f"does not keep their save: {user.name}.")
    assert "save it" in job.fix

    saves.drops = False
    await change_remediation.retry(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("lag", ["list_lag_seconds", "read_lag_seconds"])
async def test_job_waits_until_a_read_shows_the_save(lag: str) -> None:
    scenario, user, saves = build_scenario_of_variable()
    await plan_remediation(scenario)
    setattr(scenario.world.assumptions, lag, (60, 60))

    await scenario.approve(run=12 * HOUR)

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    assert saves.count <= 2
    assert scenario.build.get_trigger_url(
        scenario.world.get_workflow(user.environment_id, job.copy.id)
    ) in (user.variables.values())
    assert_nothing_lost(scenario)


async def test_flow_that_a_person_saved_is_not_saved_again() -> None:
    """After a person's save the flow uses the new value."""
    scenario, user, saves = build_scenario_of_variable()
    saves.drops = True
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    tried = saves.count
    environment = scenario.build.environment.build_environment()
    saves.drops = False
    change = WorkflowUpdate(client_data=user.client_data)
    await scenario.services.workflows.update(environment, user.workflow_id, change, etag="*")

    await change_remediation.retry(scenario.services, scenario.remediation.id)
    await scenario.run(HOUR)

    assert (await scenario.read_job("Orders")).reason_code == Reason.NO_CALL_PERIOD
    assert saves.count == tried + 1  # the person's


async def test_job_continues_after_a_saved_flow_is_deleted() -> None:
    scenario, user, saves = build_scenario_of_variable()
    saves.drops = True
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(minutes=1))
    assert (await scenario.read_job("Orders")).reason_code == Reason.WRITE_NOT_VISIBLE
    user.is_deleted = True

    await scenario.run(HOUR)

    assert (await scenario.read_job("Orders")).reason_code == Reason.NO_CALL_PERIOD
