import json
import logging
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.log import LogNotificationChannel
from shared.adapters.channels.teams import build_card
from shared.bootstrap import provide
from shared.domain.alert import Alert
from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.keys.environment_checks import ENVIRONMENT_WARNING
from shared.domain.kill_switch import KillSwitch
from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.plans.notification import MOST_IN_A_RUN, Notification
from shared.domain.plans.notification_text import LONGEST_FIX, LONGEST_REASON
from shared.domain.plans.pending_actions import PendingActionKind
from shared.errors import ServiceUnavailable
from shared.queues import POISON
from shared.reason import Reason
from shared.steps.write_permission import KILL_SWITCH
from shared.use_cases.declare_callers import declare_callers
from shared.use_cases.manage_support_requests import update_environment_limit_request
from shared.use_cases.notify import notify
from shared.use_cases.report_failed_runs import read_failed_run_report, report_failed_runs
from tests.command_tree import build_command_tree, is_group
from tests.fakes import definition_builder as define
from tests.fakes.tenant import FakeRun
from tests.functional.app.notified_scenario import RecordingChannel
from tests.functional.cli.cli_app import serve_app
from tests.functional.deleting.deletion_scenario import (
    find_original,
    request_deletions,
    retire_all,
    run_on_default_date,
)
from tests.functional.planning.test_support_requests import open_support_request
from tests.functional.scenarios.remediation_scenario import Scenario

CANARY = "canary-canary-canary-0"
SIGNED = (
    f"https://prod-1.westeurope.logic.azure.com/workflows/{'0a1b' * 8}/triggers/manual/paths/invoke"
    f"?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={CANARY}"
)
HOST = "erp.contoso.example"
SHARED = Path(__file__).parents[3] / "shared"
#: Codes that stand in the row that people are told of, so that no call names them.
CARRIED = {
    Reason.OUTBOUND_CALL_BLOCKED,
    Reason.INTERNAL_ERROR,
    Reason.KEY_PROBLEM,
    Reason.KEY_WARNING,
    Reason.BOTH_OFF,
    Reason.ADDRESS_RANGES_CHANGED,
    Reason.FIREWALL_FIX_UNFINISHED,
}

type Arrange = Callable[[Scenario], Awaitable[None]]


class UnavailableChannel:
    name = "out"

    async def send(self, _: Notification) -> None:
        raise ServiceUnavailable(f"no answer of {SIGNED}")


def build_flow_arranger(code: str, state: FlowJobState | None = None) -> Arrange:
    """Return a function that gives the job of `Orders` this reason code. With `state`, it also
    stops the job.
    """

    async def arrange(scenario: Scenario) -> None:
        await scenario.order()
        await scenario.approve(run=timedelta(hours=6))
        job = await scenario.read_job("Orders")
        why, now = f"Why: {SIGNED}", scenario.services.now
        if state:
            job = stop_with_reason(job, state, why, "Do it.", code=code, now=now)
        job = replace(job, reason_code=code, message=why, fix="Do it.")
        await scenario.services.tables.flow_jobs.upsert(job)

    return arrange


def build_alert_arranger(code: str) -> Arrange:
    async def arrange(scenario: Scenario) -> None:
        row = ("table", "partition", "key")
        notice = Alert(
            reason_code=code, row=row, message=f"Why: {SIGNED}", raised_at=scenario.services.now
        )
        await scenario.services.tables.alerts.insert(notice)

    return arrange


async def deny_calls_of_copy(scenario: Scenario) -> None:
    scenario.world.service_tags = {"PowerPlatformPlex.WestEurope": ["20.1.0.0/24"]}
    scenario.world.firewalls = [
        Firewall(
            kind="app_service",
            id="/firewalls/erp",
            name="erp",
            hosts=frozenset({HOST}),
            rules=(),
            default=RuleAction.DENY,
        )
    ]
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    assert (await scenario.read_job("Orders")).reason_code == Reason.FIREWALL_DENIES


async def block_environment_job(scenario: Scenario) -> None:
    await scenario.order()
    (job,) = await scenario.services.tables.environment_jobs.read_all()
    why, now = f"Why: {SIGNED}", scenario.services.now
    blocked = stop_with_reason(
        job,
        EnvironmentJobState.BLOCKED,
        why,
        "Do it.",
        code=Reason.PLATFORM_MIGRATION_STALLED,
        now=now,
    )
    await scenario.services.tables.environment_jobs.upsert(blocked)


async def plan_flow_that_needs_changes(scenario: Scenario) -> None:
    scenario.build.add_admin_list_flow("List of flows")
    await scenario.order()


async def create_plan(scenario: Scenario) -> None:
    await scenario.order()


async def create_expiring_plan(scenario: Scenario) -> None:
    await scenario.order()
    (job,) = await scenario.services.tables.environment_jobs.read_all()
    assert job.approval_expires_at
    scenario.world.clock.advance(
        job.approval_expires_at - scenario.services.now - timedelta(hours=23)
    )


def build_support_request_arranger(days: int) -> Arrange:
    """Return a function that opens a support request, and leaves `days` to file it."""

    async def arrange(scenario: Scenario) -> None:
        await open_support_request(scenario)
        scenario.world.clock.advance(timedelta(days=30 - days))

    return arrange


async def report_failures(scenario: Scenario) -> None:
    await scenario.opt_in(report_failed_runs=True)
    flow = next(iter(scenario.world.list_flows()))
    began = scenario.world.clock.now()
    run = FakeRun(run_id=scenario.world.create_guid(), started=began, ends=began, failed=True)
    run.error = SIGNED
    flow.runs.append(run)
    scenario.world.clock.advance(timedelta(days=1))
    environment = await scenario.services.environments.get(scenario.build.environment.id)
    await report_failed_runs(scenario.services, environment, started_at=scenario.services.now)
    stored = await read_failed_run_report(scenario.services, environment.id)
    await scenario.services.tables.failed_run_reports.upsert(
        replace(stored, begins_at=datetime(2026, 3, 1, tzinfo=UTC))
    )


async def reach_environment_limit(scenario: Scenario) -> None:
    policy = scenario.build.apply_key()
    described = await scenario.services.environments.get(scenario.build.environment.id)
    many = [replace(described, policy=policy) for _ in range(ENVIRONMENT_WARNING)]
    await update_environment_limit_request(scenario.services, many)


async def complete_remediation(scenario: Scenario) -> None:
    await scenario.start_remediation(max_flows=1)
    await scenario.approve(run=timedelta(hours=1))
    for _ in range(40):
        (job,) = await scenario.services.tables.environment_jobs.read_all()
        if job.state is EnvironmentJobState.COMPLETED:
            return
        await scenario.run(timedelta(hours=12))
    pytest.fail("the work has no end")


async def block_deletion(scenario: Scenario) -> None:
    await retire_all(scenario)
    await request_deletions(scenario)
    find_original(scenario, "Stock").state = FlowState.ON
    await run_on_default_date(scenario)


async def add_poison_message(scenario: Scenario) -> None:
    counted = scenario.fakes.messages.count

    async def count(queue: str, *, dead_letters: bool = False) -> int:
        parked = queue == POISON and not dead_letters
        return await counted(queue, dead_letters=dead_letters) + parked

    scenario.fakes.messages.count = count  # type: ignore[method-assign]


async def disable_channel(scenario: Scenario) -> None:
    await scenario.order()
    services = replace(scenario.services, channels=(UnavailableChannel(),))
    for _ in range(3):
        await notify(services)
        scenario.world.clock.advance(timedelta(hours=1))


async def turn_kill_switch_on(scenario: Scenario) -> None:
    flag = KillSwitch(
        name=KILL_SWITCH,
        is_on=True,
        changed_by="admin",
        justification=SIGNED,
        changed_at=scenario.services.now,
    )
    await scenario.services.tables.kill_switch.upsert(flag)


async def raise_many_alerts(scenario: Scenario) -> None:
    """Raise more alerts than one run sends separately."""
    for number in range(MOST_IN_A_RUN + 5):
        await build_alert_arranger(f"code_{number}")(scenario)


async def omit_daily_check(scenario: Scenario) -> None:
    await notify(replace(scenario.services, channels=(RecordingChannel("another"),)))
    scenario.world.clock.advance(timedelta(hours=27))


async def delete_wake_ups(scenario: Scenario) -> None:
    await create_plan(scenario)
    await scenario.services.tables.wake_ups.clear("wake_up")
    scenario.world.clock.advance(timedelta(days=8))


async def await_unconfirmed_caller(scenario: Scenario) -> None:
    [*_, flow] = scenario.build.environment.flows.values()
    called = CalledFlow(environment_id=flow.environment_id, flow_id=flow.workflow_id)
    till = DeclaredCaller(name="Till", owner="Alex", contact="1234", flows=(called,))
    await declare_callers(scenario.services, [till])
    await scenario.order()
    await scenario.approve(run=timedelta(days=1))


def list_alert_codes() -> list[str]:
    source = "".join(path.read_text() for path in sorted(SHARED.rglob("*.py")))
    named = re.findall(r"\bsend_alert\(\s*[\w.]*services, Reason\.([A-Z_]+)", source)
    return sorted({*(Reason[name] for name in named), *CARRIED})


CATALOGUE: dict[tuple[PendingActionKind, str], Arrange] = {
    (PendingActionKind.BOTH_OFF, Reason.BOTH_OFF): build_flow_arranger(Reason.BOTH_OFF),
    (PendingActionKind.FLOWS_BLOCKED, Reason.FIREWALL_DENIES): deny_calls_of_copy,
    (PendingActionKind.FLOWS_BLOCKED, Reason.OWNER_UNAVAILABLE): build_flow_arranger(
        Reason.OWNER_UNAVAILABLE, FlowJobState.BLOCKED
    ),
    (PendingActionKind.FLOWS_BLOCKED, Reason.INTERNAL_ERROR): build_flow_arranger(
        Reason.INTERNAL_ERROR, FlowJobState.FAILED
    ),
    (
        PendingActionKind.ENVIRONMENT_BLOCKED,
        Reason.PLATFORM_MIGRATION_STALLED,
    ): block_environment_job,
    (PendingActionKind.PLAN_AWAITING_APPROVAL, ""): create_plan,
    (PendingActionKind.LATE_CALLER, Reason.LATE_CALLER): build_flow_arranger(Reason.LATE_CALLER),
    (PendingActionKind.DELETION_BLOCKED, Reason.RETIRED_ORIGINAL_ON): block_deletion,
    (PendingActionKind.NEEDS_CHANGES, ""): plan_flow_that_needs_changes,
    **{
        (PendingActionKind.ALERT, code): build_alert_arranger(code)
        for code in list_alert_codes()
        if code != Reason.BOTH_OFF  # its flow tells it
    },
    (PendingActionKind.UNPROCESSED_MESSAGES, ""): add_poison_message,
    (PendingActionKind.CHANNEL_FAILING, "out"): disable_channel,
    (PendingActionKind.KILL_SWITCH_ON, Reason.KILL_SWITCH_ON): turn_kill_switch_on,
    (PendingActionKind.WAKE_UP, ""): delete_wake_ups,
    (PendingActionKind.DAILY_CHECK_MISSING, ""): omit_daily_check,
    (PendingActionKind.CALLER_UNCONFIRMED, Reason.MANUAL_CALLER): await_unconfirmed_caller,
    (PendingActionKind.PLAN_EXPIRES_SOON, ""): create_expiring_plan,
    (PendingActionKind.FAILED_RUNS, "2026-03-01"): report_failures,
    (PendingActionKind.SUPPORT_REQUEST, "run_history"): build_support_request_arranger(20),
    (PendingActionKind.SUPPORT_REQUEST, "environment_limit"): reach_environment_limit,
    (PendingActionKind.SUPPORT_WINDOW_CLOSES, "run_history"): build_support_request_arranger(6),
    (PendingActionKind.REMEDIATION_COMPLETED, ""): complete_remediation,
    (PendingActionKind.DIGEST, ""): raise_many_alerts,
}
#: These are about an environment.
THERE = (
    PendingActionKind.BOTH_OFF,
    PendingActionKind.FLOWS_BLOCKED,
    PendingActionKind.ENVIRONMENT_BLOCKED,
    PendingActionKind.PLAN_AWAITING_APPROVAL,
    PendingActionKind.LATE_CALLER,
    PendingActionKind.NEEDS_CHANGES,
    PendingActionKind.CALLER_UNCONFIRMED,
)
THERE_TOO = (PendingActionKind.PLAN_EXPIRES_SOON, PendingActionKind.REMEDIATION_COMPLETED)


@pytest.fixture
async def scenario() -> Scenario:
    return await build_tenant_with("Stock")


async def build_tenant_with(*titles: str) -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
    scenario.build.add_http_flow("Orders", {"Call": define.build_http_action(f"https://{HOST}/")})
    for title in titles:
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.opt_in()
    return scenario


async def send_notifications(
    scenario: Scenario, website_host: str = "app.example"
) -> list[Notification]:
    """Send the due notifications twice, five minutes apart. Return those that were sent."""
    settings = scenario.settings.model_copy(
        update={
            "website_host": website_host,
            "service_account_client_id": "11111111-0000-4000-8000-000000000001",
            "service_account_token_cache_secret": "https://kv.vault.azure.net/secrets/operator",
        }
    )
    heard = RecordingChannel()
    services = replace(
        scenario.services, channels=(heard, LogNotificationChannel()), settings=settings
    )
    await notify(services)
    scenario.world.clock.advance(timedelta(minutes=5))
    await notify(services)
    return heard.told


def test_catalogue_contains_every_cause() -> None:
    assert {cause for cause, _ in CATALOGUE} == set(PendingActionKind)
    assert len(list_alert_codes()) > 10


@pytest.mark.parametrize(
    ("cause", "code"), CATALOGUE, ids=lambda one: str(one) if one else "no code"
)
async def test_notification_about_every_cause_is_complete(
    scenario: Scenario, cause: PendingActionKind, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    await CATALOGUE[cause, code](scenario)

    heard = await send_notifications(scenario)

    (one,) = [
        one
        for one in heard
        if (one.pending_action.kind, one.pending_action.reason_code) == (cause, code)
    ]
    event, shown = (
        build_cloud_event(one)["data"],
        json.dumps(build_card(one)).replace(r"\u200b", ""),
    )
    assert event["count"] >= 1
    assert event["title"] == one.pending_action.title
    assert not re.search(r"[{}]|Something needs", event["title"])
    name = scenario.build.environment.display_name
    if cause in (*THERE, *THERE_TOO):
        assert event["environmentId"] == scenario.build.environment.id
        assert name in event["title"]
        assert event["environmentName"] == name
    assert event["fix"].endswith((".", ")"))
    assert is_known_command(event["next_command"]), event["next_command"]
    is_for_owner = cause is PendingActionKind.CALLER_UNCONFIRMED
    page = "declared-callers/confirmation?token=" if is_for_owner else "dashboard"
    assert event["link"].startswith(f"https://app.example/api/{page}")
    assert event["correlationId"] == one.pending_action.id
    for text in (event["title"], event["fix"], event["link"]):
        assert json.dumps(text) in shown
    body = "".join(run["text"] for block in build_card(one)["body"] for run in block["inlines"])
    assert event["correlationId"] not in body
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", re.sub(r"cmkflow [^.`]*", "", body))
    assert len(event["message"]) <= LONGEST_REASON
    assert len(event["fix"]) <= LONGEST_FIX
    line = next(
        record
        for record in caplog.records
        if parse_fields(record).get("correlation") == one.pending_action.id
    )
    assert (parse_fields(line)["kind"], parse_fields(line).get("reason_code", "")) == (cause, code)
    assert event["fix"] in line.getMessage()
    for text in (json.dumps(event), shown, line.getMessage(), repr(vars(line))):
        assert CANARY not in text
        assert "invoke?" not in text


@pytest.mark.parametrize(
    ("cause", "code"), CATALOGUE, ids=lambda one: str(one) if one else "no code"
)
async def test_next_command_of_every_cause_succeeds(
    scenario: Scenario, cause: PendingActionKind, code: str
) -> None:
    await CATALOGUE[cause, code](scenario)
    heard = await send_notifications(scenario)
    (one,) = [
        one
        for one in heard
        if (one.pending_action.kind, one.pending_action.reason_code) == (cause, code)
    ]
    words = shlex.split(one.pending_action.next_command)[1:]
    provide(scenario.services)

    if (
        code == Reason.SERVICE_ACCOUNT_SIGNED_OUT
    ):  # test_cli_operator.py signs in, on the local tenant
        build_command_tree()[tuple(words[:2])].make_context("sign-in", words[2:])
        return
    async with serve_app() as command_line:
        done = await command_line.run(*words, answer="y\n")

    assert done.exit_code == 0, done.output


def parse_fields(record: logging.LogRecord) -> dict[str, str]:
    _, mark, fields = record.getMessage().partition(" | {")
    found: dict[str, str] = json.loads("{" + fields) if mark else {}
    return found


def is_known_command(line: str) -> bool:
    """Return whether the line runs a command, not a group."""
    words, tree = shlex.split(line)[1:], build_command_tree()
    known = [tuple(words[:end]) for end in range(1, len(words) + 1) if tuple(words[:end]) in tree]
    return bool(known) and not is_group(tree[known[-1]])
