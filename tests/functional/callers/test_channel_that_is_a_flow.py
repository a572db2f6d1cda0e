"""Test notification channels of the app that are flows on Microsoft's key."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import PendingActionKind
from shared.reason import Reason
from shared.use_cases.assess import assess_environment
from shared.use_cases.change_remediation import retry, roll_back
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_status import read_pending_actions
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario


def add_run(scenario: Scenario, flow: FakeFlow) -> None:
    now = scenario.world.clock.now()
    run = FakeRun(run_id="r", started=now, ends=now, trigger_url_id=flow.trigger_url_id)
    flow.runs.append(run)


@pytest.mark.parametrize("setting", ["webhook", "teams_webhook"])
async def test_plan_names_the_setting_of_a_channel_that_is_a_flow(
    setting: str,
) -> None:
    scenario = Scenario()
    channel, other = (
        scenario.build.add_http_flow("Post to a channel"),
        scenario.build.add_http_flow("Orders"),
    )
    scenario.build.apply_key()
    for flow in (channel, other):
        add_run(scenario, flow)
    address: dict[str, Any] = {setting: scenario.build.get_trigger_url(channel)}
    scenario.settings = scenario.settings.model_copy(update=address)

    found = await assess_environment(scenario.services, scenario.build.environment.id)
    await scenario.start_remediation()
    plan = await scenario.plan()

    label = f"setting CMK_{setting.upper()} of this app"
    assessed = {flow.display_name: flow.callers for flow in found.flows}
    (caller,) = assessed["Post to a channel"]
    (planned,) = plan["Post to a channel"].callers
    for one in (caller, planned):
        assert (one.kind, one.label) == ("own_channel", label)
        assert "Until then the original is not retired" in one.manual_reason
    assert not assessed["Orders"]
    assert not plan["Orders"].callers
    assert not any(label in write for write in plan["Post to a channel"].planned_changes)
    assert "sig=" not in repr((caller, planned))


async def test_channel_that_is_no_flow_is_no_caller() -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    scenario.world.clock.advance(timedelta(days=1))
    address = {
        "webhook": "https://hooks.example/in",
        "teams_webhook": scenario.build.get_trigger_url(flow),
    }
    scenario.settings = scenario.settings.model_copy(update=address)

    found = await assess_environment(scenario.services, scenario.build.environment.id)

    (assessed,) = found.flows
    assert assessed.callers == ()
    assert "no run of the last 28 days shows its URL" in assessed.callers_unknown_reason


def point_channel_at(scenario: Scenario, address: str) -> None:
    """Set this URL as that of the app's Teams channel, and restart the app."""
    scenario.settings = scenario.settings.model_copy(update={"teams_webhook": address})
    scenario.renew()


async def migrate_channel_flow(scenario: Scenario) -> tuple[FakeFlow, str]:
    """Migrate the flow that is the channel. Return the flow, and the URL of its copy."""
    channel = scenario.build.add_http_flow("Post to a channel")
    scenario.build.apply_key()
    await scenario.opt_in()
    point_channel_at(scenario, scenario.build.get_trigger_url(channel))
    await scenario.order()
    await scenario.approve(run=timedelta(days=30))
    job = await scenario.read_job("Post to a channel")
    (copy,) = [
        flow
        for flow in scenario.build.environment.flows.values()
        if flow.workflow_id == job.copy.id
    ]
    return channel, scenario.build.get_trigger_url(copy)


@pytest.mark.parametrize("by_sweep", [False, True])
async def test_flow_of_a_channel_is_not_retired_before_the_setting_changes(
    by_sweep: bool,
) -> None:
    scenario = Scenario()
    channel, address = await migrate_channel_flow(scenario)
    held = await scenario.read_job("Post to a channel")
    await scenario.driver.call(lambda services: run_daily_check(services, "before"))
    still = await scenario.read_job("Post to a channel")
    was_on = channel.state
    (waits,) = (await read_pending_actions(scenario.services)).items

    point_channel_at(scenario, address)
    if by_sweep:
        await scenario.driver.call(lambda services: run_daily_check(services, "after"))
    else:
        await scenario.driver.call(lambda services: retry(services, scenario.remediation.id))
    await scenario.run(timedelta(days=30))

    assert (held.state, held.reason_code) == (
        FlowJobState.BLOCKED,
        Reason.NOTIFICATION_CHANNEL_USES_FLOW,
    )
    assert "setting CMK_TEAMS_WEBHOOK of this app" in held.message
    assert "sig=" not in held.message + held.fix
    assert still.state is FlowJobState.BLOCKED
    assert was_on is FlowState.ON
    assert (waits.kind, waits.reason_code) == (
        PendingActionKind.FLOWS_BLOCKED,
        Reason.NOTIFICATION_CHANNEL_USES_FLOW,
    )
    assert (await scenario.read_job("Post to a channel")).state is FlowJobState.RETIRED


async def test_rollback_keeps_the_copy_on_while_a_channel_uses_it() -> None:
    scenario = Scenario()
    channel, address = await migrate_channel_flow(scenario)
    point_channel_at(scenario, address)
    await scenario.driver.call(lambda services: retry(services, scenario.remediation.id))
    await scenario.run(timedelta(days=30))
    await scenario.driver.call(lambda services: roll_back(services, scenario.remediation.id))
    await scenario.run(timedelta(days=30))
    held = await scenario.read_job("Post to a channel")

    point_channel_at(scenario, scenario.build.get_trigger_url(channel))
    await scenario.driver.call(lambda services: run_daily_check(services, "after"))
    await scenario.run(timedelta(days=30))

    assert (held.state, held.reason_code) == (
        FlowJobState.BLOCKED,
        Reason.NOTIFICATION_CHANNEL_USES_FLOW,
    )
    assert "URL of the original" in held.fix
    assert channel.state is FlowState.ON
    assert (await scenario.read_job("Post to a channel")).state is FlowJobState.ROLLED_BACK
