from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.crash import Plan
from tests.fakes.services import build_fake_services
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    approve_shown,
    plan_and_run_until,
    plan_remediation,
)
from tests.functional.scenarios.two_environments import build_two_plans

type Undo = Callable[[Services, str], Awaitable[int]]

HOUR = timedelta(hours=1)
ENDED = {FlowJobState.CANCELLED, FlowJobState.ROLLED_BACK}
STAGES = [
    FlowJobState.COPYING,
    FlowJobState.COPIED,
    FlowJobState.VERIFIED,
    FlowJobState.UPDATING_CALLERS,
    FlowJobState.CHECKING_FOR_CALLS,
    FlowJobState.CUTTING_OVER,
    FlowJobState.MONITORING,
]


class ActionBeforeRead:
    """A store that runs an action before the first read of a row of one table."""

    def __init__(self, store: object, table: str, action: Callable[[], Awaitable[object]]) -> None:
        self._store: Any = store
        self._table = table
        self._action: Callable[[], Awaitable[object]] | None = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, table: str, partition: str, key: str) -> object:
        if table == self._table and self._action:
            action, self._action = self._action, None
            await action()
        return await self._store.get(table, partition, key)


@pytest.mark.parametrize("stage", STAGES)
async def test_cancel_at_any_stage_reverts_all_changes(stage: FlowJobState) -> None:
    scenario = Scenario()
    swaps = stage in {FlowJobState.CUTTING_OVER, FlowJobState.MONITORING}
    title = "Keyword" if swaps else "Orders"
    flow = scenario.build.add_keyword_flow(title) if swaps else scenario.build.add_http_flow(title)
    if not swaps:
        scenario.build.add_app_setting_caller(flow)
        scenario.build.add_flow_caller(flow)
    scenario.world.traffic.beat(scenario.world)
    await plan_remediation(scenario)
    before = take_snapshot(scenario.world)
    await scenario.approve_and_run_until(title, stage)

    await scenario.driver.call(lambda s: change_remediation.cancel(s, scenario.remediation.id))
    await scenario.run(timedelta(days=30))
    scenario.world.traffic.beat(scenario.world)

    assert (await scenario.read_job(title)).state in ENDED
    assert find_differences(before, scenario.world) == []
    assert scenario.world.traffic.lost_calls == []


async def test_rollback_requested_during_a_step_starts_after_the_step() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.CHECKING_FOR_CALLS)

    async def request_rollback() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    disturb(scenario, "flow_reports", "read_runs", request_rollback)
    await scenario.run(HOUR)

    assert (await scenario.read_job("Orders")).step is FlowJobState.ROLLING_BACK


async def test_rollback_requested_while_the_original_is_retired_is_carried_out() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)

    async def request_rollback() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    disturb(scenario, "workflows", "update", request_rollback)
    await scenario.run(timedelta(days=30))

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_request_between_approval_and_start_of_flow_jobs_cancels_environment_job(
    order: Undo,
) -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    writes = len(scenario.world.writes)

    await scenario.driver.call(lambda s: order(s, scenario.remediation.id))
    await scenario.run(timedelta(days=30))

    assert (await scenario.read_environment_job()).state is EnvironmentJobState.CANCELLED
    assert await scenario.read_jobs() == {}
    assert scenario.world.writes[writes:] == []


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_request_for_a_blocked_environment_cancels_environment_job(order: Undo) -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await scenario.start_remediation()
    blocked = (await scenario.read_environment_job()).state

    await scenario.driver.call(lambda s: order(s, scenario.remediation.id))
    scenario.build.apply_key()
    await scenario.retry()

    assert blocked is EnvironmentJobState.BLOCKED
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.CANCELLED
    assert await scenario.read_jobs() == {}


async def test_retry_of_a_job_that_is_no_longer_blocked_changes_nothing() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await scenario.start_remediation()
    scenario.build.apply_key()
    store: Any = ActionBeforeRead(scenario.services.tables.store, "environmentjobs", scenario.retry)
    late = build_fake_services(replace(scenario.fakes.ports, store=store))

    count = (await change_remediation.retry(late, scenario.remediation.id)).flow_count

    assert count == 0
    assert (
        await scenario.read_environment_job()
    ).state is EnvironmentJobState.CANCELLED  # it expired


async def test_cancel_while_flow_jobs_are_started_cancels_the_existing_jobs() -> None:
    """A process may die after it has created only some of the flow jobs."""
    scenario = Scenario()
    for name in ("A", "B", "C"):
        scenario.build.add_http_flow(name)
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    scenario.driver.plan = Plan(at=8)
    scenario.renew()
    await scenario.run(timedelta(0))
    assert scenario.driver.plan.has_struck
    assert not (await scenario.read_environment_job()).has_started_flow_jobs

    await scenario.driver.call(lambda s: change_remediation.cancel(s, scenario.remediation.id))
    await scenario.run(timedelta(days=30))

    assert {job.state for job in (await scenario.read_jobs()).values()} <= {FlowJobState.CANCELLED}
    assert scenario.world.writes == []


async def test_approval_is_rejected_for_all_environments_if_one_is_read_only() -> None:
    scenario = await build_two_plans()
    tables = scenario.services.tables
    for build in scenario.builders:
        await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY, build.environment.id)
        with pytest.raises(JobBlocked):
            await approve_shown(scenario.services, scenario.remediation.id)
        await scenario.opt_in_both(ApprovalPolicy.REQUIRED)

    jobs = await tables.environment_jobs.read_all(scenario.remediation.id)

    assert {job.state for job in jobs} == {EnvironmentJobState.AWAITING_APPROVAL}


async def test_expired_plan_cannot_be_approved() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    expires = (await scenario.read_environment_job()).approval_expires_at
    assert expires is not None
    scenario.world.clock.advance_to(expires)

    with pytest.raises(JobBlocked) as refusal:
        await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(HOUR)

    assert refusal.value.code == "approval_expired"
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.CANCELLED
