from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.alert import Alert
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.pending_actions import PendingActionKind
from shared.queues import FLOW_JOBS, POISON
from shared.reason import Reason
from shared.steps.write_permission import KILL_SWITCH
from shared.use_cases.notify import notify
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.tenant import FakeRun
from tests.functional.app.notified_scenario import (
    TOGETHER,
    RecordingChannel,
    build_notified_scenario,
    notify_after,
    run_to_no_call_period,
)
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_notified_scenario()


async def test_completion_notification_counts_flows_not_migrated(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await scenario.opt_in(max_flows=2)
    await run_to_no_call_period(scenario)
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await notify_after(scenario, heard)

    (ended,) = [
        one
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.REMEDIATION_COMPLETED
    ]
    environment = scenario.build.environment.display_name
    expected = f"The remediation in {environment} is complete: 1 flow not migrated"
    assert ended.pending_action.title == expected
    assert (
        ended.pending_action.next_command == f"cmkflow remediation show {scenario.remediation.id}"
    )
    left = [
        item for item in (await scenario.plan()).values() if item.not_migrated_reason is not None
    ]
    assert ended.pending_action.flows == tuple(item.display_name for item in left)
    assert ended.pending_action.workflow_ids == tuple(item.workflow_id for item in left)
    assert ended.pending_action.message == "Not migrated: 1 beyond the flow limit."
    assert ended.pending_action.fix == "Start the next remediation, or raise the flow limit first."


async def test_completion_names_cancelled_flows_and_those_that_need_changes(
    scenario: Scenario,
) -> None:
    heard = RecordingChannel()
    scenario.build.add_admin_list_flow("Weekly list")
    await run_to_no_call_period(scenario)
    await scenario.roll_back(
        (await scenario.read_job("Orders")).original.id, run=timedelta(hours=1)
    )
    for _ in range(20):
        await scenario.run(timedelta(hours=12))
        await notify_after(scenario, heard)

    (ended,) = [
        one.pending_action
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.REMEDIATION_COMPLETED
    ]
    assert ended.count == 2
    assert ended.flows == ("Weekly list", "Orders")
    assert ended.message == "Not migrated: 1 needs changes first, 1 rolled back."
    assert ended.fix == (
        "1 needs changes first: change the flow, then start a new remediation. "
        "1 rolled back: start a new remediation for the flow."
    )


async def test_app_without_channels_stores_no_deliveries(scenario: Scenario) -> None:
    assert scenario.mode is ApprovalPolicy.REQUIRED
    await scenario.order()

    assert await notify(replace(scenario.services, channels=())) == 0
    assert (
        await scenario.services.tables.notification_deliveries.read_all("notification_delivery")
        == []
    )


async def test_late_call_of_an_original_is_reported(scenario: Scenario) -> None:
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    cut_over = (await scenario.read_job("Orders")).observation.started_at
    assert cut_over is not None
    orders = next(one for one in scenario.build.environment.flows.values() if one.name == "Orders")

    def add_late_call(after: timedelta) -> None:
        at = cut_over + after
        orders.runs.append(FakeRun(run_id=f"late-{after}", started=at, ends=at))

    add_late_call(timedelta(minutes=30))
    await scenario.run(timedelta(days=6, hours=12))
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    assert PendingActionKind.LATE_CALLER not in heard.causes
    add_late_call(timedelta(days=1))
    await scenario.run(timedelta(hours=12))
    await notify_after(scenario, heard)
    assert PendingActionKind.LATE_CALLER not in heard.causes  # others may follow
    await notify_after(scenario, heard, after=TOGETHER)
    (told,) = [
        one.pending_action
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.LATE_CALLER
    ]
    await scenario.run(timedelta(days=10))

    environment = scenario.build.environment.display_name
    assert told.title == f"Calls still reach the original's URL: 1 flow in {environment}"
    assert told.flows == ("Orders",)
    assert "called 2 times since its callers were updated" in told.message
    assert "run history" in told.fix
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_signed_out_service_account_is_reported_by_the_daily_check(
    scenario: Scenario,
) -> None:
    heard = RecordingChannel()
    settings = scenario.settings.model_copy(update={"service_account_client_id": "operator"})
    await run_daily_check(replace(scenario.services, settings=settings), "2026-01-01")
    await notify_after(scenario, heard)
    assert PendingActionKind.ALERT not in heard.causes

    scenario.world.is_operator_signed_out = True
    await run_daily_check(replace(scenario.services, settings=settings), "2026-01-02")
    await notify_after(scenario, heard)

    (told,) = [
        one.pending_action
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.ALERT
    ]
    assert told.reason_code == Reason.SERVICE_ACCOUNT_SIGNED_OUT
    assert told.next_command == "cmkflow service-account sign-in --tenant fakes"
    assert told.message == "The service account is not signed in (invalid_grant)."
    assert "Sign the service account in again" in told.fix


async def test_retired_original_that_is_on_again_is_reported(scenario: Scenario) -> None:
    """Such an original runs beside its copy."""
    heard = RecordingChannel()
    await run_to_no_call_period(scenario)
    await scenario.run(timedelta(days=10))
    for flow in scenario.build.environment.flows.values():
        if flow.workflow_id == (await scenario.read_job("Orders")).original.id:
            flow.state = FlowState.ON

    await run_daily_check(scenario.services, "2026-01-20")
    await notify_after(scenario, heard)

    (told,) = [
        one.pending_action
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.ALERT
    ]
    assert told.title == "Retired originals are on again"
    assert told.message.endswith("was retired and is on again.")


@pytest.mark.parametrize(
    ("code", "title", "command"),
    [
        ("key_problem", "A key does not work, or will stop working", "cmkflow key check"),
        ("key_warning", "A key may stop working", "cmkflow key check"),
        (
            "address_ranges_changed",
            "Microsoft's address ranges have changed",
            "cmkflow network tag-changes",
        ),
        ("outbound_call_blocked", "Calls by copies are, or may be, denied", "cmkflow health"),
        ("new_code", "Action required: new code", "cmkflow health"),
    ],
)
async def test_alerts_with_one_code_share_a_notification(
    scenario: Scenario, code: str, title: str, command: str
) -> None:
    heard = RecordingChannel()
    for number in (1, 2):
        row = ("key_findings", "policy", str(number))
        notice = Alert(
            reason_code=code, row=row, message=f"Finding {number}.", raised_at=scenario.services.now
        )
        await scenario.services.tables.alerts.insert(notice)
    await notify_after(scenario, heard)

    (told,) = [one.pending_action for one in heard.told]
    assert told.title == f"{title} (2)"
    assert told.message == "Finding 1."
    assert told.fix
    assert told.next_command == command


@pytest.mark.parametrize("is_dead", [False, True])
async def test_poison_messages_and_dead_letters_are_reported(
    scenario: Scenario, is_dead: bool
) -> None:
    heard, bus = RecordingChannel(), scenario.fakes.messages
    counted = bus.count

    async def count(queue: str, *, dead_letters: bool = False) -> int:
        given_up = queue == (FLOW_JOBS if is_dead else POISON) and dead_letters is is_dead
        return await counted(queue, dead_letters=dead_letters) + given_up

    bus.count = count  # type: ignore[method-assign]
    await notify_after(scenario, heard)

    (told,) = [one.pending_action for one in heard.told]
    assert (told.kind, told.title) == (
        PendingActionKind.UNPROCESSED_MESSAGES,
        "1 queue message could not be processed",
    )


@pytest.mark.parametrize("has_swept", [False, True])
async def test_missing_daily_check_is_reported_after_26_hours(
    scenario: Scenario, has_swept: bool
) -> None:
    heard = RecordingChannel()
    await notify_after(scenario, heard)
    if has_swept:
        await run_daily_check(scenario.services, "2026-01-01")
    await notify_after(scenario, heard, after=timedelta(hours=25, minutes=59))
    assert PendingActionKind.DAILY_CHECK_MISSING not in heard.causes
    await notify_after(scenario, heard, after=timedelta(minutes=2))

    (told,) = [
        one.pending_action
        for one in heard.told
        if one.pending_action.kind is PendingActionKind.DAILY_CHECK_MISSING
    ]
    assert told.message.startswith("The last daily check" if has_swept else "None completed")


async def test_kill_switch_is_reported(scenario: Scenario) -> None:
    heard = RecordingChannel()
    flag = KillSwitch(
        name=KILL_SWITCH, is_on=True, changed_by="admin", changed_at=scenario.services.now
    )
    await scenario.services.tables.kill_switch.upsert(flag)
    await notify_after(scenario, heard)

    (told,) = [one.pending_action for one in heard.told]
    assert (told.kind, told.next_command) == (
        PendingActionKind.KILL_SWITCH_ON,
        'cmkflow kill-switch off --justification "The reason is fixed."',
    )
