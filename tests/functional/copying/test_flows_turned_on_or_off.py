from datetime import timedelta

import pytest

from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes.flow_service import delete, turn_off, turn_on
from tests.fakes.invariants import find_pairs_on_together
from tests.functional.scenarios.remediation_scenario import Scenario, kill_after, plan_and_run_until


@pytest.mark.parametrize("reached", [FlowJobState.COPYING, FlowJobState.VERIFIED])
async def test_original_that_a_person_turns_on_loses_no_call(
    reached: FlowJobState,
) -> None:
    scenario = Scenario()
    form = scenario.build.add_off_flow("Form")
    scenario.build.add_app_setting_caller(form)
    await plan_and_run_until(scenario, "Form", reached)
    turn_on(scenario.world, form, scenario.build.owner)
    scenario.world.traffic.beat(scenario.world)

    await scenario.run(timedelta(days=60))
    scenario.world.traffic.beat(scenario.world)

    job = await scenario.read_job("Form")
    assert (job.state, job.migration_method) == (
        FlowJobState.RETIRED,
        MigrationMethod.UPDATE_CALLERS,
    ), job.history
    assert scenario.world.traffic.lost_calls == []


async def test_copy_is_turned_off_if_its_original_was_turned_off() -> None:
    """A process may die right after it turned the copy on."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPYING)
    plan = kill_after(scenario, "FakeWorkflows.update")
    await scenario.run(timedelta(0))
    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(orders.environment_id, job.copy.id)
    assert plan.has_struck
    assert copy.is_on
    turn_off(scenario.world, orders)

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert job.migration_method is MigrationMethod.COPY_OFF
    assert not copy.is_on


async def test_self_starting_flow_turned_off_before_the_cutover_stays_off() -> None:
    scenario = Scenario()
    keyword = scenario.build.add_keyword_flow("Keyword")
    await plan_and_run_until(scenario, "Keyword", FlowJobState.VERIFIED)
    turn_off(scenario.world, keyword)

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Keyword")
    assert (job.state, job.migration_method) == (FlowJobState.RETIRED, MigrationMethod.COPY_OFF), (
        job.history
    )
    assert not scenario.world.get_workflow(keyword.environment_id, job.copy.id).is_on
    assert find_pairs_on_together(scenario.world) == []


async def test_copy_deleted_before_its_verification_blocks_the_job() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    job = await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    scenario.world.get_workflow(orders.environment_id, job.copy.id).is_deleted = True

    await scenario.run(timedelta(days=1))
    blocked = await scenario.read_job("Orders")
    await scenario.roll_back()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "copy_changed")
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK


@pytest.mark.parametrize("is_deleted", [True, False])
@pytest.mark.parametrize(
    "reached", [FlowJobState.UPDATING_CALLERS, FlowJobState.CHECKING_FOR_CALLS]
)
async def test_job_is_blocked_with_original_on_while_its_copy_is_off_or_deleted(
    reached: FlowJobState, *, is_deleted: bool
) -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    job = await plan_and_run_until(scenario, "Orders", reached)
    copy = scenario.world.get_workflow(orders.environment_id, job.copy.id)
    if is_deleted:
        delete(scenario.world, copy)
    else:
        turn_off(scenario.world, copy)

    await scenario.run(timedelta(days=60))

    blocked = await scenario.read_job("Orders")
    assert (blocked.state, blocked.reason_code) == (
        FlowJobState.BLOCKED,
        "copy_changed" if is_deleted else "flow_state_not_changed",
    )
    assert (orders.is_on, orders.name) == (True, "Orders")
    if is_deleted:
        await scenario.roll_back()
    else:
        turn_on(scenario.world, copy, scenario.build.owner)
        await scenario.retry()

    end = FlowJobState.ROLLED_BACK if is_deleted else FlowJobState.RETIRED
    assert (await scenario.read_job("Orders")).state is end
    if reached is FlowJobState.UPDATING_CALLERS:
        assert scenario.world.traffic.lost_calls == []


@pytest.mark.parametrize("was_stopped", [True, False])
async def test_self_starting_original_is_on_if_its_copy_is_deleted_before_the_cutover(
    *, was_stopped: bool
) -> None:
    scenario = Scenario()
    keyword = scenario.build.add_keyword_flow("Keyword")
    job = await plan_and_run_until(scenario, "Keyword", FlowJobState.CUTTING_OVER)
    if was_stopped:
        plan = kill_after(scenario, "FakeWorkflows.update")
        await scenario.run(timedelta(0))
        assert plan.has_struck
    assert keyword.is_on is not was_stopped
    delete(scenario.world, scenario.world.get_workflow(keyword.environment_id, job.copy.id))

    await scenario.run(timedelta(days=1))

    job = await scenario.read_job("Keyword")
    assert job.state is FlowJobState.BLOCKED
    assert keyword.is_on
