from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.write_definition import is_stored_definition
from shared.use_cases import change_remediation
from tests.fakes.crash import Killed
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow
from tests.functional.preparing.prepare_scenario import PREPARE
from tests.functional.scenarios.rejected_saves import get_references, refuse_saves
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.interrupted import PREPARED


async def prepare_scenario(
    *, is_outside: bool, wipes: int, error: BaseException | None = None
) -> tuple[Scenario, FakeFlow, str]:
    """Prepare a flow whose first `wipes` saves are rejected. Return the scenario, the flow and its
    former definition. With `is_outside`, the flow is in no solution.
    """
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
    (flow,) = PREPARED["action"](scenario)
    if is_outside:
        flow.in_solution, flow.flow_name = False, flow.workflow_id
    flow_before = flow.client_data
    refuse_saves(scenario, flow, wipes=wipes, error=error)
    await scenario.opt_in()
    await scenario.order(PREPARE, flow.workflow_id)
    await scenario.approve()
    return scenario, flow, flow_before


@pytest.mark.parametrize("is_outside", [False, True])
async def test_rejected_save_keeps_the_connection_references(*, is_outside: bool) -> None:
    scenario, flow, before = await prepare_scenario(is_outside=is_outside, wipes=1)
    (job,) = (await scenario.read_jobs()).values()
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "Strange")
    assert get_references(flow).keys() == {"shared_flowmanagement"}

    await scenario.retry()
    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.message
    assert get_references(flow).keys() == {"shared_flowmanagement"}

    await scenario.roll_back()
    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.message
    assert is_stored_definition(flow.client_data, before) or is_outside
    assert get_references(flow).keys() == {"shared_flowmanagement"}


@pytest.mark.parametrize("is_outside", [False, True])
async def test_killed_invocation_after_a_rejected_save_keeps_the_references(
    *, is_outside: bool
) -> None:
    scenario, flow, _ = await prepare_scenario(is_outside=is_outside, wipes=1, error=Killed())

    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.message
    assert get_references(flow).keys() == {"shared_flowmanagement"}


@pytest.mark.parametrize("is_outside", [False, True])
async def test_retry_restores_lost_connection_references_from_the_archive(
    *, is_outside: bool
) -> None:
    scenario, flow, _ = await prepare_scenario(is_outside=is_outside, wipes=3)
    (job,) = (await scenario.read_jobs()).values()
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, Reason.CONNECTION_REFERENCES_LOST)
    assert "shared_flowmanagement" in job.message
    assert get_references(flow) == {}

    for _ in range(3):
        await scenario.retry()

    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.PREPARED, job.message
    assert get_references(flow).keys() == {"shared_flowmanagement"}


async def test_rollback_restores_references_that_a_rejected_save_removed() -> None:
    scenario, flow, before = await prepare_scenario(is_outside=False, wipes=2)
    assert get_references(flow) == {}

    await scenario.roll_back()

    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.message
    assert flow.client_data == before


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_rollback_right_after_a_rejected_save_restores_the_definition(
    order: Callable[[Services, str], Awaitable[object]],
) -> None:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
    (flow,) = PREPARED["action"](scenario)
    scenario.world.assumptions.refused_saves_wipe_references = True
    scenario.world.assumptions.unpublished_row_seconds = 60
    before = take_snapshot(scenario.world)
    await scenario.opt_in()
    await scenario.order(PREPARE, flow.workflow_id)
    await scenario.approve(run=timedelta(seconds=5))
    assert (flow.references_wiped, get_references(flow)) == (1, {})

    await order(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=1))

    (job,) = (await scenario.read_jobs()).values()
    assert job.state is FlowJobState.ROLLED_BACK, job.message
    assert find_differences(before, scenario.world) == []
