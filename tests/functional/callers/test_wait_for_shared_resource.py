"""Test how long flows wait for others whose URLs are in the same resource."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError, ThrottledError
from shared.reason import Reason
from shared.use_cases import change_remediation
from tests.fakes.tenant import FakeFlow
from tests.functional.callers.shared_app import (
    DAY,
    MINUTE,
    NOT_YET,
    PROMPT,
    LateCopies,
    add_app,
    list_changed_settings,
    run_until_waiting_for_last,
)
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation


async def test_jobs_write_without_a_late_flow_after_the_batch_wait() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    await scenario.run(4 * MINUTE)
    early = (site.restarts, list_changed_settings(before, site))
    late.allow_copies(flows[-1])
    await scenario.run(DAY)

    assert early == (1, {"URL_0", "URL_1"})
    assert (site.restarts, list_changed_settings(before, site)) == (2, {"URL_0", "URL_1", "URL_2"})
    assert_nothing_lost(scenario)


async def test_flow_that_is_copied_in_time_is_part_of_the_batched_write() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    late.allow_copies(flows[-1])
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_0", "URL_1", "URL_2"})


async def test_jobs_do_not_wait_for_a_job_with_a_later_check() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    await plan_remediation(scenario)
    LateCopies(scenario, ThrottledError("not yet", retry_after=20 * MINUTE), flows[-1])

    await scenario.approve(run=MINUTE)

    assert site.restarts == 1


async def test_jobs_write_at_once_if_the_batch_wait_is_zero() -> None:
    scenario = Scenario(settings=PROMPT.model_copy(update={"caller_batch_wait": timedelta(0)}))
    site, flows = add_app(scenario, 3)
    before = dict(site.settings)
    await plan_remediation(scenario)
    LateCopies(scenario, NOT_YET, flows[-1])

    await scenario.approve(run=MINUTE / 4)

    assert list_changed_settings(before, site) == {"URL_0", "URL_1"}


async def test_jobs_do_not_wait_for_a_blocked_job() -> None:
    """A blocked job may need a person."""
    scenario = Scenario(settings=PROMPT)
    site, flows = add_app(scenario, 3)
    await plan_remediation(scenario)
    late = LateCopies(scenario, NOT_YET, *flows)
    await scenario.approve(run=MINUTE)
    late.fail_copies(PlatformError("no", code="0x1", status=400), flows[0])
    await scenario.run(MINUTE)
    assert (await scenario.read_job("Flow 0")).state is FlowJobState.BLOCKED

    late.allow_copies(*flows[1:])
    await scenario.run(MINUTE)

    assert site.restarts == 1


async def exclude_flow(scenario: Scenario, flow: FakeFlow) -> None:
    excluded = frozenset({flow.workflow_id})
    await scenario.set_approval_policy(ApprovalPolicy.REQUIRED, excluded_flows=excluded)


async def test_flow_excluded_while_it_waits_is_not_part_of_the_write() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    await exclude_flow(scenario, flows[0])

    late.allow_copies(flows[-1])
    await scenario.run(DAY)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    assert (await scenario.read_job("Flow 0")).reason_code == Reason.FLOW_EXCLUDED


async def test_flow_whose_copy_is_off_is_not_part_of_the_write() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    job = await scenario.read_job("Flow 0")
    scenario.world.get_workflow(job.environment_id, job.copy.id).state = FlowState.OFF

    late.allow_copies(flows[-1])
    await scenario.run(DAY)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    assert (await scenario.read_job("Flow 0")).reason_code == Reason.FLOW_STATE_NOT_CHANGED


async def test_unreadable_job_row_does_not_block_the_batched_write() -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)
    job = await scenario.read_job("Flow 1")
    (name, row), *_ = (
        (name, row)
        for name, row in scenario.fakes.store.rows.items()
        if (row.table, row.key) == ("flowjobs", job.id)
    )
    data = str(row.columns["data0"]).replace('"state":"waiting"', '"state":"levitating"')
    scenario.fakes.store.rows[name] = replace(row, columns={**row.columns, "data0": data})

    late.allow_copies(flows[-1])
    await scenario.run(MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_0", "URL_2"})


@pytest.mark.parametrize("is_late", [False, True])
async def test_rollback_removes_a_flow_from_the_batched_write(*, is_late: bool) -> None:
    scenario = Scenario(settings=PROMPT)
    site, flows, late = await run_until_waiting_for_last(scenario)
    before = dict(site.settings)

    async def roll_back() -> object:
        order, flow = scenario.remediation.id, flows[0].workflow_id
        return await change_remediation.roll_back(scenario.services, order, (flow,))

    if is_late:
        disturb(scenario, "app_settings", "read", roll_back)
    else:
        await roll_back()
    late.allow_copies(flows[-1])
    await scenario.run(5 * MINUTE)

    assert (site.restarts, list_changed_settings(before, site)) == (1, {"URL_1", "URL_2"})
    await scenario.run(60 * DAY)
    assert (await scenario.read_job("Flow 0")).state is FlowJobState.ROLLED_BACK
    assert site.restarts == 1
    assert_nothing_lost(scenario)
