"""Test when a channel gets a notification, and when the notification is repeated."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.channels.event import build_cloud_event
from shared.domain.alert import Alert
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import resume, stop_with_reason
from shared.domain.plans.notification import GROWN_AFTER, REPEATED_AFTER
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import ThrottledError
from shared.ports import StoreRow
from shared.state.rows import StoredItem
from shared.use_cases.check_health import check_health
from shared.use_cases.notify import notify
from shared.use_cases.show_status import read_pending_actions
from tests.functional.app.notified_scenario import (
    TOGETHER,
    RecordingChannel,
    block_flows,
    build_notified_scenario,
    build_services_with,
    notify_after,
    run_to_no_call_period,
)
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown


@pytest.fixture
async def scenario() -> Scenario:
    return await build_notified_scenario()


async def test_plan_is_reported_once_and_again_before_it_expires(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await scenario.order()

    for _ in range(3):
        await notify_after(scenario, heard, after=timedelta(minutes=1))
    (first,) = heard.told
    (plan,) = (await read_pending_actions(scenario.services)).items
    assert plan.expires_at is not None
    await notify_after(
        scenario, heard, after=plan.expires_at - scenario.services.now - timedelta(hours=23)
    )
    await scenario.driver.call(lambda s: approve_shown(s, scenario.remediation.id))
    await notify_after(scenario, heard, after=timedelta(days=2))

    assert first.pending_action.next_command == f"cmkflow approve {scenario.remediation.id}"
    page = f"https://app.example/api/dashboard/remediations/{scenario.remediation.id}/plan"
    assert first.link == f"{page}?environment={scenario.build.environment.id}"
    assert heard.causes[:2] == [
        PendingActionKind.PLAN_AWAITING_APPROVAL,
        PendingActionKind.PLAN_EXPIRES_SOON,
    ]  # not both at once on its last day
    assert heard.causes.count(PendingActionKind.PLAN_EXPIRES_SOON) == 1
    assert len({one.id for one in heard.told}) == len(heard.told)


async def test_flows_blocked_for_one_reason_share_a_notification(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await block_flows(scenario, "Stock")
    await notify_after(scenario, heard, after=TOGETHER)
    await notify_after(scenario, heard, after=timedelta(minutes=1))

    (told,) = heard.told
    name = scenario.build.environment.display_name
    title = f"2 flows blocked in {name}: the owner is not available"
    assert told.pending_action.title == title
    assert told.pending_action.flows == ("Orders", "Stock")
    assert "canary" not in repr(told)


async def test_notification_is_repeated_the_next_day(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    await notify_after(scenario, heard, after=REPEATED_AFTER)

    first, again = heard.told
    assert first.id != again.id
    assert first.correlation_id == again.correlation_id


async def test_notification_is_repeated_earlier_for_an_additional_flow(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    await block_flows(scenario, "Stock")
    await notify_after(scenario, heard, after=GROWN_AFTER - timedelta(minutes=1))
    assert len(heard.told) == 1
    for _ in range(3):
        await notify_after(scenario, heard, after=timedelta(minutes=1))

    assert [one.pending_action.flows for one in heard.told] == [("Orders",), ("Orders", "Stock")]


async def test_channel_is_not_tried_during_the_pause_that_it_requests(scenario: Scenario) -> None:
    busy = RecordingChannel(
        name="busy", is_out=True, says=ThrottledError("", retry_after=timedelta(minutes=9))
    )
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    job = await scenario.read_job("Stock")
    now = scenario.services.now
    failed = stop_with_reason(
        job, FlowJobState.FAILED, "Why.", "Report it.", code="internal_error", now=now
    )
    await scenario.services.tables.flow_jobs.upsert(failed)
    await notify_after(scenario, busy)
    for _ in range(4):
        await notify_after(scenario, busy, after=TOGETHER / 2)
    tries, busy.is_out = busy.tries, False
    for _ in range(3):
        await notify_after(scenario, busy, after=timedelta(minutes=10))

    assert tries == 1  # it asked for nine minutes, and the other cause waits with the first
    assert busy.causes == [PendingActionKind.FLOWS_BLOCKED, PendingActionKind.FLOWS_BLOCKED]


async def test_cause_that_occurs_again_is_reported_again(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    job = await scenario.read_job("Orders")
    await scenario.services.tables.flow_jobs.upsert(
        resume(job, "Retried.", now=scenario.services.now)
    )
    await notify_after(scenario, heard, after=timedelta(minutes=1))
    assert (
        await scenario.services.tables.notification_deliveries.read_all("notification_delivery")
        == []
    )
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard, after=timedelta(minutes=1))
    await notify_after(scenario, heard, after=TOGETHER)

    assert heard.causes == [PendingActionKind.FLOWS_BLOCKED, PendingActionKind.FLOWS_BLOCKED]


async def test_failing_channel_blocks_no_other_channel_and_is_reported(scenario: Scenario) -> None:
    heard, out = RecordingChannel(), RecordingChannel(name="out", is_out=True)
    await scenario.order()

    await notify_after(scenario, heard, out)
    assert heard.causes == [
        PendingActionKind.PLAN_AWAITING_APPROVAL
    ]  # one try that failed is no news
    for _ in range(3):
        await notify_after(scenario, heard, out, after=timedelta(minutes=1))
    (failing,) = (await check_health(scenario.services)).failing_channels
    out.is_out = False
    for _ in range(70):
        await notify_after(scenario, heard, out, after=timedelta(minutes=1))

    assert (failing.channel, failing.notification_count) == ("out", 1)
    assert "canary" not in failing.error
    assert heard.causes == [
        PendingActionKind.PLAN_AWAITING_APPROVAL,
        PendingActionKind.CHANNEL_FAILING,
    ]
    assert out.causes == [PendingActionKind.PLAN_AWAITING_APPROVAL]
    assert (await check_health(scenario.services)).failing_channels == ()


async def test_notification_whose_response_was_lost_is_repeated_with_the_same_id(
    scenario: Scenario,
) -> None:
    """The receiver recognises a repetition by its id."""
    mute = RecordingChannel(is_mute=True)
    await scenario.order()
    await notify_after(scenario, mute)
    await notify_after(scenario, mute, after=timedelta(minutes=5))

    assert len(mute.told) == 2
    assert len({one.id for one in mute.told}) == 1


async def test_concurrent_invocations_send_a_notification_once(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await scenario.order()
    services = build_services_with(scenario, heard)
    table = services.tables.notification_deliveries
    replaced = table.replace

    async def send_meanwhile(kept: StoredItem, item: object) -> StoredItem:  # type: ignore[type-arg]
        table.replace = replaced  # type: ignore[method-assign]
        assert await notify(build_services_with(scenario, heard)) == 1
        return await replaced(kept, item)  # type: ignore[arg-type]

    table.replace = send_meanwhile  # type: ignore[method-assign]
    told = await notify(services)

    assert told == 0
    assert heard.causes == [PendingActionKind.PLAN_AWAITING_APPROVAL]


async def test_cause_that_another_invocation_reports_first_is_sent_once(scenario: Scenario) -> None:
    heard, tables = RecordingChannel(), scenario.services.tables
    store, scans = tables.notification_deliveries.store, 0
    queried = store.query

    async def query(table: str, *of: Any, **options: Any) -> AsyncIterator[StoreRow]:
        nonlocal scans
        scans += table == "notificationdeliveries"
        if table == "notificationdeliveries" and scans == 2:
            row = ("key_findings", "policy", "1")
            notice = Alert(
                reason_code="key_problem",
                row=row,
                message="It ends.",
                raised_at=scenario.services.now,
            )
            await tables.alerts.insert(notice)
            assert await notify_after(scenario, heard) == 1
        async for found in queried(table, *of, **options):
            yield found

    store.query = query  # type: ignore[method-assign]
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=timedelta(minutes=1))

    assert scans > 2
    assert heard.causes == [PendingActionKind.ALERT]


async def test_recovered_channel_gets_the_completion_days_later(scenario: Scenario) -> None:
    heard, out = RecordingChannel(), RecordingChannel(name="out", is_out=True)
    await run_to_no_call_period(scenario)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await notify_after(scenario, heard, out)
        ended = PendingActionKind.REMEDIATION_COMPLETED in heard.causes
        if ended:
            break
    await notify_after(scenario, heard, out, after=timedelta(days=3))
    out.is_out = False
    for _ in range(6):
        await notify_after(scenario, heard, out, after=timedelta(hours=25))

    assert heard.causes.count(PendingActionKind.REMEDIATION_COMPLETED) == 1
    assert out.causes.count(PendingActionKind.REMEDIATION_COMPLETED) == 1


async def test_long_text_of_a_notification_is_shortened(scenario: Scenario) -> None:
    """Teams rejects messages of more than 28 KB."""
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    job = replace(await scenario.read_job("Orders"), display_name="x" * 5_000)
    text = "Let in 10.0.0.0/8, " * 5_000
    blocked = stop_with_reason(
        job, FlowJobState.BLOCKED, text, text, code="gap", now=scenario.services.now
    )
    await scenario.services.tables.flow_jobs.upsert(blocked)
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)

    (told,) = heard.told
    assert len(json.dumps(build_cloud_event(told))) < 20 * 1024
    assert told.pending_action.message.endswith("…")
