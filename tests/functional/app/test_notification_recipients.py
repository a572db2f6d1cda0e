from dataclasses import replace
from typing import Any

import pytest

from functions import environments_api
from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.teams import build_card
from shared.bootstrap import provide
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.use_cases.notify import notify
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.functional.app.test_failing_channels import Receiver
from tests.functional.app.test_notification_per_reason import report_failures
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA, BOB = "anna@contoso.example", "bob@contoso.example"


async def report_failures_to(
    scenario: Scenario, *recipients: str
) -> dict[PendingActionKind, Notification]:
    await report_failures(scenario)
    await set_recipients(scenario, list(recipients))
    await set_kill_switch(scenario.services, is_on=True, by="admin", reason="an audit")
    receiver = Receiver()
    await notify(replace(scenario.services, channels=(receiver,)))
    return {one.pending_action.kind: one for one in receiver.accepted}


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    provide(scenario.services)
    return scenario


async def set_recipients(scenario: Scenario, recipients: list[str]) -> Any:
    return await call(
        environments_api.update_environment_settings,
        {"notification_recipients": recipients},
        id=scenario.build.environment.id,
    )


async def test_failed_runs_are_sent_to_the_recipients_of_their_environment(
    scenario: Scenario,
) -> None:
    sent = await report_failures_to(scenario, BOB, f" {ANNA.title()}")

    failed = sent[PendingActionKind.FAILED_RUNS]
    assert failed.recipients == (ANNA, BOB)
    assert build_cloud_event(failed)["data"]["recipients"] == [ANNA, BOB]
    assert f"{ANNA}, {BOB}" in str(build_card(failed)).replace("\N{ZERO WIDTH SPACE}", "")
    assert sent[PendingActionKind.KILL_SWITCH_ON].recipients == ()


async def test_notification_without_recipients_is_sent_to_each_channel(scenario: Scenario) -> None:
    failed = (await report_failures_to(scenario))[PendingActionKind.FAILED_RUNS]

    assert failed.recipients == ()
    assert build_cloud_event(failed)["data"]["recipients"] == []


@pytest.mark.parametrize(
    "wrong", [f"{ANNA};{BOB}", f"{ANNA}\r\nBcc: {BOB}", f"\x1b{ANNA}", f"a\u202e{ANNA}"]
)
async def test_invalid_recipient_is_rejected_by_name(scenario: Scenario, wrong: str) -> None:
    reply = await set_recipients(scenario, [ANNA, wrong])

    assert reply.status == 400
    [error] = reply.document["errors"]
    assert error["field"].startswith("notification_recipients.")
    assert error["message"] == "Use one e-mail address, such as owner@contoso.com."


async def test_command_sets_and_clears_the_recipients(scenario: Scenario) -> None:
    name = scenario.build.environment.id
    async with serve_app() as app:
        both = ("--notification-recipient", ANNA, "--notification-recipient", BOB)
        shown = await app.run("environment", "set", name, *both)
        cleared = await app.run("environment", "set", name, "--notification-recipient", "")

    assert shown.exit_code == cleared.exit_code == 0
    assert ANNA in shown.stdout
    assert BOB in shown.stdout
    assert ANNA not in cleared.stdout
