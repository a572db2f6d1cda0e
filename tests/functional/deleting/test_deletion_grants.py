"""Test that temporary co-ownership for the checks of a deletion is revoked."""

from datetime import timedelta

from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import cancel_deletions
from tests.fakes.crash import was_killed
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
    find_original,
    request_deletions,
)
from tests.functional.scenarios.remediation_scenario import Scenario, kill_after, plan_remediation


async def build_hidden_scenario() -> Scenario:
    scenario = Scenario()
    assumptions = scenario.world.assumptions
    assumptions.my_flows_have_rows = False
    assumptions.definitions_hidden_from_administrators = True
    flow = scenario.build.add_http_flow("Orders")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    await plan_remediation(scenario)
    await scenario.approve(run=25 * DAY)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)
    return scenario


async def test_grant_of_a_killed_check_is_revoked_after_a_cancelled_deletion() -> None:
    scenario = await build_hidden_scenario()
    orders = find_original(scenario, "Orders")
    plan = kill_after(scenario, "FakeFlowAccess.grant")
    for _ in range(10):
        try:
            await scenario.driver.call(delete_originals)
        except BaseException as error:
            if not was_killed(error):
                raise
            break
        await scenario.run(MINUTE)
    assert plan.has_struck
    assert orders.co_owners
    await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")

    await scenario.run(timedelta(hours=3))

    assert orders.co_owners == {}
    assert not (await scenario.read_job("Orders")).has_grants
