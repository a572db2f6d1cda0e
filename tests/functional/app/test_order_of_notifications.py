from datetime import timedelta

import pytest

from shared.alerts import send_alert
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.plans.pending_actions import PendingActionKind
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.show_status import read_pending_actions
from tests.functional.app.notified_scenario import (
    TOGETHER,
    RecordingChannel,
    block_flows,
    notify_after,
    run_to_no_call_period,
)
from tests.functional.scenarios.remediation_scenario import Scenario

BLOCKED, COMPLETED = PendingActionKind.FLOWS_BLOCKED, PendingActionKind.REMEDIATION_COMPLETED
FLOWS = ("Orders", "Returns", "Stock")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    for title in FLOWS:
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.opt_in()
    await run_to_no_call_period(scenario)
    return scenario


def list_received_kinds(channel: RecordingChannel) -> list[PendingActionKind]:
    return [cause for cause in channel.causes if cause in {BLOCKED, COMPLETED}]


async def block_all_flows(scenario: Scenario, *channels: RecordingChannel) -> None:
    await block_flows(scenario, *FLOWS)
    await scenario.run(timedelta(hours=12))
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED
    await notify_after(scenario, *channels)
    await notify_after(scenario, *channels, after=TOGETHER)


async def retry_and_notify(scenario: Scenario, *channels: RecordingChannel, days: int) -> None:
    await scenario.retry(run=timedelta(hours=1))
    for _ in range(2 * days):
        await notify_after(scenario, *channels)
        await scenario.run(timedelta(hours=12))
    await notify_after(scenario, *channels)


async def test_blocked_flows_of_a_completed_job_cause_one_notification(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await block_all_flows(scenario, heard)
    for _ in range(3):
        await notify_after(scenario, heard, after=timedelta(minutes=1))

    (one,) = heard.told
    assert (one.pending_action.kind, one.pending_action.count) == (BLOCKED, 3)


async def test_completion_after_a_retry_causes_one_notification(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await block_all_flows(scenario, heard)
    await retry_and_notify(scenario, heard, days=6)
    in_progress = list_received_kinds(heard)
    await retry_and_notify(scenario, heard, days=6)

    assert in_progress == [BLOCKED]
    assert list_received_kinds(heard) == [BLOCKED, COMPLETED]
    (ended,) = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert ended.title.endswith("is complete: every flow is migrated")


async def test_flows_blocked_again_after_a_retry_cause_a_notification(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await block_all_flows(scenario, heard)
    await retry_and_notify(scenario, heard, days=1)
    await block_all_flows(scenario, heard)
    await retry_and_notify(scenario, heard, days=10)

    assert list_received_kinds(heard) == [BLOCKED, BLOCKED, COMPLETED]


async def test_flows_blocked_again_at_once_cause_a_notification(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await block_all_flows(scenario, heard)
    scenario.world.clock.advance(timedelta(minutes=1))
    for title in FLOWS:
        await change_remediation.retry_job(scenario.services, await scenario.read_job(title))
    await block_flows(scenario, *FLOWS)
    await notify_after(scenario, heard)
    at_once = list_received_kinds(heard)
    for _ in range(3):
        await notify_after(scenario, heard, after=TOGETHER)

    assert at_once == [BLOCKED]
    assert list_received_kinds(heard) == [BLOCKED, BLOCKED]
    assert len({one.id for one in heard.told}) == 2


async def test_recovered_channel_gets_the_current_situation_only(scenario: Scenario) -> None:
    heard, out = RecordingChannel(), RecordingChannel(name="out", is_out=True)
    await block_all_flows(scenario, heard, out)
    await retry_and_notify(scenario, heard, out, days=2)
    await block_all_flows(scenario, heard, out)
    out.is_out = False
    await notify_after(scenario, heard, out, after=timedelta(hours=2))
    now_blocked = list_received_kinds(out)
    await retry_and_notify(scenario, heard, out, days=6)
    out.is_out = True
    await retry_and_notify(scenario, heard, out, days=4)
    out.is_out = False
    for _ in range(3):
        await notify_after(scenario, heard, out, after=timedelta(hours=2))

    assert now_blocked == [BLOCKED]
    assert list_received_kinds(out) == [BLOCKED, COMPLETED]
    assert list_received_kinds(heard) == [BLOCKED, BLOCKED, COMPLETED]


async def test_delivery_row_is_deleted_after_a_week_of_failures(scenario: Scenario) -> None:
    heard, out = RecordingChannel(), RecordingChannel(name="out", is_out=True)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await notify_after(scenario, heard, out)
    assert heard.causes.count(COMPLETED) == 1
    for _ in range(8):
        await notify_after(scenario, heard, out, after=timedelta(days=1))

    rows = await scenario.services.tables.notification_deliveries.read_all("notification_delivery")
    ended = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert {one.id for one in ended}.isdisjoint(row.pending_action_id for row in rows)


async def test_cancelled_flows_cause_one_notification_after_their_rollback(
    scenario: Scenario,
) -> None:
    heard = RecordingChannel()
    await scenario.driver.call(
        lambda services: change_remediation.cancel(services, scenario.remediation.id)
    )
    await notify_after(scenario, heard)
    in_progress = list_received_kinds(heard)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await notify_after(scenario, heard)

    (ended,) = [one.pending_action for one in heard.told if one.pending_action.kind is COMPLETED]
    assert in_progress == []
    assert ended.count == 3
    assert ended.message == "Not migrated: 3 rolled back."


async def test_title_names_a_cancelled_remediation() -> None:
    scenario, heard = Scenario(), RecordingChannel()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.driver.call(
        lambda services: change_remediation.cancel(services, scenario.remediation.id)
    )
    await notify_after(scenario, heard)

    (ended,) = [one.pending_action for one in heard.told]
    environment = scenario.build.environment.display_name
    title = f"The remediation in {environment} was cancelled: 1 flow not migrated"
    assert ended.title == title


async def test_plan_without_changes_causes_one_notification() -> None:
    scenario, heard = Scenario(), RecordingChannel()
    scenario.build.add_admin_list_flow("List of flows")
    scenario.build.apply_key()
    await scenario.start_remediation()
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED

    await notify_after(scenario, heard)

    assert heard.causes == [PendingActionKind.NEEDS_CHANGES]


async def test_failed_flow_is_one_action(scenario: Scenario) -> None:
    job = await scenario.read_job("Orders")
    failed = stop_with_reason(
        job, FlowJobState.FAILED, "A bug.", "Report it.",
        code=Reason.INTERNAL_ERROR, now=scenario.services.now,
    )  # fmt: skip
    table = scenario.services.tables.flow_jobs
    await table.upsert(failed)
    await send_alert(
        scenario.services, Reason.INTERNAL_ERROR, table.get_row_name(failed), failed.message
    )
    one = (await read_pending_actions(scenario.services)).items
    await table.upsert(job)
    without_job = (await read_pending_actions(scenario.services)).items

    assert [action.kind for action in one] == [BLOCKED]
    assert [action.kind for action in without_job] == [PendingActionKind.ALERT]
