from datetime import timedelta

from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    on_both_platforms,
    plan_and_approve,
)

#: Longer than the no-call period of a copy.
LONG = timedelta(days=9)


def begin_run(scenario: Scenario, flow: FakeFlow) -> None:
    """Add a run that lasts for days. At its end it may call a flow by the URL that it read at its
    start.
    """
    now = scenario.world.clock.now()
    flow.runs.append(FakeRun(run_id=scenario.world.create_guid(), started=now, ends=now + LONG))


@on_both_platforms
async def test_retired_flow_is_rolled_back_exactly(profile: Profile) -> None:
    scenario = Scenario(profile=profile)
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    scenario.build.add_secret_caller(orders)
    scenario.build.add_flow_caller(orders)
    scenario.build.add_variable_caller(orders)
    scenario.build.apply_key()
    before = take_snapshot(scenario.world)
    await scenario.run_remediation()

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    await scenario.run(timedelta(days=60))

    job = (await scenario.read_jobs())["Orders"]
    assert job.state is FlowJobState.ROLLED_BACK, (job.message, job.history)
    assert orders.is_on
    assert not scenario.world.get_workflow(orders.environment_id, job.copy.id).is_on
    assert find_differences(before, scenario.world) == []


async def test_copy_stays_on_while_an_earlier_run_of_a_caller_continues() -> None:
    """A run that read the copy's URL at its start may call the copy days later."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    caller = scenario.build.add_flow_caller(orders)
    await plan_and_approve(scenario)
    begin_run(scenario, caller)

    await scenario.roll_back(run=LONG - timedelta(hours=1))
    before = await scenario.read_job("Orders")
    was_on = scenario.world.get_workflow(orders.environment_id, before.copy.id).is_on
    await scenario.run(timedelta(days=1))

    assert "that started before its change" in before.message
    assert was_on
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK


async def test_copy_stays_on_while_a_run_of_its_parents_copy_continues() -> None:
    """A run of the parent's copy may still run the child's copy."""
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child")
    scenario.build.add_parent("Nightly", child)
    await plan_and_approve(scenario)
    parent = await scenario.read_job("Nightly")
    begin_run(scenario, scenario.world.get_workflow(child.environment_id, parent.copy.id))

    await scenario.roll_back(run=LONG - timedelta(hours=1))
    before = await scenario.read_job("Child")
    was_on = scenario.world.get_workflow(child.environment_id, before.copy.id).is_on
    await scenario.run(timedelta(days=1))

    assert "that started before its change" in before.message
    assert was_on
    assert (await scenario.read_job("Child")).state is FlowJobState.ROLLED_BACK
