"""Each channel gets a notification once for each cause, and again if it did not accept it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.channels.event import build_cloud_event
from shared.domain.alert import Alert
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import resume, stop_with_reason
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.notification import GROWN_AFTER, REPEATED_AFTER, Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import CmkflowError, ServiceUnavailable, ThrottledError
from shared.ports import StoreRow
from shared.queues import FLOW_JOBS, POISON
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.write_permission import KILL_SWITCH
from shared.use_cases.check_health import check_health
from shared.use_cases.notify import notify
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_status import read_pending_actions
from tests.fakes.tenant import FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

#: How long flows that block for one reason are gathered.
TOGETHER = timedelta(minutes=5)
SIGNED = "https://h.example/workflows/1/triggers/manual/paths/invoke?sig=canary-canary-canary-0"


@dataclass
class Heard:
    """A channel that keeps its notifications, unless it is out."""

    name: str = "heard"
    told: list[Notification] = field(default_factory=list)
    is_out: bool = False
    #: Told, and then out: the answer was lost.
    is_mute: bool = False
    says: CmkflowError = field(default_factory=lambda: ServiceUnavailable(f"no answer of {SIGNED}"))
    tries: int = 0

    async def send(self, notification: Notification) -> None:
        """Keep the notification."""
        self.tries += 1
        if not self.is_out:
            self.told.append(notification)
        if self.is_out or self.is_mute:
            raise self.says

    @property
    def causes(self) -> list[PendingActionKind]:
        """Return the kinds of the notifications."""
        return [one.pending_action.kind for one in self.told]


@pytest.fixture
async def scenario() -> Scenario:
    """A tenant of one linked environment with three flows, where changes are permitted."""
    scenario = Scenario()
    for title in ("Orders", "Returns", "Stock"):
        scenario.build.http_flow(title)
    scenario.build.link()
    await scenario.opt_in()
    return scenario


def build_services_with(scenario: Scenario, *channels: Heard) -> Services:
    """Return the services with these channels and the app's address."""
    settings = scenario.settings.model_copy(update={"website_host": "app.example"})
    return replace(scenario.services, channels=channels, settings=settings)


async def notify_after(
    scenario: Scenario, *channels: Heard, after: timedelta = timedelta(0)
) -> int:
    """Let time pass, then send what is due."""
    scenario.world.clock.advance(after)
    return await notify(build_services_with(scenario, *channels))


async def block_flows(scenario: Scenario, *titles: str) -> None:
    """Block these flows for the same reason."""
    for title in titles:
        job = await scenario.job(title)
        blocked = stop_with_reason(
            job,
            FlowJobState.BLOCKED,
            f"{title} {SIGNED}",
            "Name another owner.",
            code="owner_unavailable",
            now=scenario.services.now,
        )
        await scenario.services.tables.flow_jobs.upsert(blocked)


async def run_to_no_call_period(scenario: Scenario) -> None:
    """Let every flow come to its no-call period."""
    await scenario.order()
    await scenario.driver.call(lambda s: approve_shown(s, scenario.remediation.id))
    await scenario.run(timedelta(hours=6))


async def test_plan_is_reported_once_and_again_before_it_expires(scenario: Scenario) -> None:
    """A plan has one notification, and one more on its last day if it is not approved."""
    heard = Heard()
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
    """The first blocked flow waits a few minutes for the others."""
    heard = Heard()
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
    """The second notification has another id and the same correlation id."""
    heard = Heard()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    await notify_after(scenario, heard, after=REPEATED_AFTER)

    first, again = heard.told
    assert first.id != again.id
    assert first.correlation_id == again.correlation_id


async def test_notification_is_repeated_earlier_for_an_additional_flow(scenario: Scenario) -> None:
    """A later flow of the same cause is reported after some hours, in one notification."""
    heard = Heard()
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
    """While a channel asks for a pause, the app does not try it, and then sends everything."""
    busy = Heard(
        name="busy", is_out=True, says=ThrottledError("", retry_after=timedelta(minutes=9))
    )
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    job = await scenario.job("Stock")
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
    """If a cause ends and occurs again, a new notification is sent."""
    heard = Heard()
    await run_to_no_call_period(scenario)
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    job = await scenario.job("Orders")
    await scenario.services.tables.flow_jobs.upsert(
        resume(job, "Retried.", now=scenario.services.now)
    )
    await notify_after(scenario, heard, after=timedelta(minutes=1))
    assert await scenario.services.tables.notification_deliveries.all("notification_delivery") == []
    await block_flows(scenario, "Orders")
    await notify_after(scenario, heard, after=timedelta(minutes=1))
    await notify_after(scenario, heard, after=TOGETHER)

    assert heard.causes == [PendingActionKind.FLOWS_BLOCKED, PendingActionKind.FLOWS_BLOCKED]


async def test_failing_channel_blocks_no_other_channel_and_is_reported(scenario: Scenario) -> None:
    """The app retries the channel, and health and the other channel report it."""
    heard, out = Heard(), Heard(name="out", is_out=True)
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
    """The same id lets the receiver recognise a repeated notification."""
    mute = Heard(is_mute=True)
    await scenario.order()
    await notify_after(scenario, mute)
    await notify_after(scenario, mute, after=timedelta(minutes=5))

    assert len(mute.told) == 2
    assert len({one.id for one in mute.told}) == 1


async def test_concurrent_invocations_send_a_notification_once(scenario: Scenario) -> None:
    """The invocation that loses the write of the row sends nothing."""
    heard = Heard()
    await scenario.order()
    services = build_services_with(scenario, heard)
    table = services.tables.notification_deliveries
    replaced = table.replace

    async def replaced_meanwhile(kept: StoredItem, item: object) -> StoredItem:  # type: ignore[type-arg]
        """Let another invocation send everything first."""
        table.replace = replaced  # type: ignore[method-assign]
        assert await notify(build_services_with(scenario, heard)) == 1
        return await replaced(kept, item)  # type: ignore[arg-type]

    table.replace = replaced_meanwhile  # type: ignore[method-assign]
    told = await notify(services)

    assert told == 0
    assert heard.causes == [PendingActionKind.PLAN_AWAITING_APPROVAL]


async def test_cause_that_another_invocation_reports_first_is_sent_once(scenario: Scenario) -> None:
    """A cause that another invocation reports meanwhile is not treated as ended."""
    heard, tables = Heard(), scenario.services.tables
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
    """A channel that was out gets the notification about the completion once, days later."""
    heard, out = Heard(), Heard(name="out", is_out=True)
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
    """The app shortens long texts, because Teams rejects more than 28 KB."""
    heard = Heard()
    await run_to_no_call_period(scenario)
    job = replace(await scenario.job("Orders"), display_name="x" * 5_000)
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


async def test_completion_notification_counts_flows_not_migrated(scenario: Scenario) -> None:
    """One notification about the completion counts the flows that are not migrated."""
    heard = Heard()
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
    assert ended.pending_action.message == "Not migrated: 1 beyond the limit."
    assert ended.pending_action.fix == "Start the next remediation, or raise the limit first."


async def test_completion_names_cancelled_flows_and_those_that_need_changes(
    scenario: Scenario,
) -> None:
    """They come in the order of their reasons, each reason with its fix."""
    heard = Heard()
    scenario.build.admin_list_flow("Weekly list")
    await run_to_no_call_period(scenario)
    await scenario.roll_back((await scenario.job("Orders")).original_id, run=timedelta(hours=1))
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
    """Without a channel, the app stores no deliveries."""
    assert scenario.mode is ApprovalPolicy.REQUIRED
    await scenario.order()

    assert await notify(replace(scenario.services, channels=())) == 0
    assert await scenario.services.tables.notification_deliveries.all("notification_delivery") == []


async def test_late_call_of_an_original_is_reported(scenario: Scenario) -> None:
    """A call soon after the callers were updated is ignored, but one a day later is reported."""
    heard = Heard()
    await run_to_no_call_period(scenario)
    cut_over = (await scenario.job("Orders")).observation_started_at
    assert cut_over is not None
    orders = next(one for one in scenario.build.environment.flows.values() if one.name == "Orders")

    def called(after: timedelta) -> None:
        at = cut_over + after
        orders.runs.append(FakeRun(run_id=f"late-{after}", started=at, ends=at))

    called(timedelta(minutes=30))
    await scenario.run(timedelta(days=6, hours=12))
    await notify_after(scenario, heard)
    await notify_after(scenario, heard, after=TOGETHER)
    assert PendingActionKind.LATE_CALLER not in heard.causes
    called(timedelta(days=1))
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
    assert told.title == f"1 flow still called at the original's URL in {environment}"
    assert told.flows == ("Orders",)
    assert "called 2 times since its callers were updated" in told.message
    assert "run history" in told.fix
    assert (await scenario.job("Orders")).state is FlowJobState.RETIRED


async def test_signed_out_service_account_is_reported_by_the_daily_check(
    scenario: Scenario,
) -> None:
    """The daily check uses the sign-in, so that its loss is reported early."""
    heard = Heard()
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
    """A retired original that is on again works beside its copy until a person decides."""
    heard = Heard()
    await run_to_no_call_period(scenario)
    await scenario.run(timedelta(days=10))
    for flow in scenario.build.environment.flows.values():
        if flow.workflow_id == (await scenario.job("Orders")).original_id:
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
        ("outbound_call_blocked", "Calls of copies are denied", "cmkflow health"),
        ("new_code", "Action required: new code", "cmkflow health"),
    ],
)
async def test_alerts_with_one_code_share_a_notification(
    scenario: Scenario, code: str, title: str, command: str
) -> None:
    """Alerts with the same code share one notification, with the message of the first."""
    heard = Heard()
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
    """Poison messages and dead letters are reported in the same way."""
    heard, bus = Heard(), scenario.fakes.messages
    counted = bus.count

    async def count(queue: str, *, dead_letters: bool = False) -> int:
        given_up = queue == (FLOW_JOBS if is_dead else POISON) and dead_letters is is_dead
        return await counted(queue, dead_letters=dead_letters) + given_up

    bus.count = count  # type: ignore[method-assign]
    await notify_after(scenario, heard)

    (told,) = [one.pending_action for one in heard.told]
    assert (told.kind, told.title) == (
        PendingActionKind.UNPROCESSED_MESSAGES,
        "1 message could not be processed",
    )


@pytest.mark.parametrize("has_swept", [False, True])
async def test_missing_daily_check_is_reported_after_26_hours(
    scenario: Scenario, has_swept: bool
) -> None:
    """The notification also states if no daily check was ever completed."""
    heard = Heard()
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
    """While the kill switch is on, no job continues."""
    heard = Heard()
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
