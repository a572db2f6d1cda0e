import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import dashboard_api, remediation_actions_api, remediations_api, status_api
from shared.bootstrap import provide
from shared.domain.plans.pending_actions import PendingActionKind
from shared.domain.plans.remediation import RemediationMode
from shared.use_cases.notify import notify
from tests.functional.app.dashboard_scenario import find_flow_id
from tests.functional.app.notified_scenario import RecordingChannel
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario

CHANGE_FIRST = ["List of flows", "Other list of flows"]


def count_flows(heard: RecordingChannel) -> list[int]:
    told = [one.pending_action for one in heard.told]
    return [one.count for one in told if one.kind is PendingActionKind.NEEDS_CHANGES]


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    for title in CHANGE_FIRST:
        scenario.build.add_admin_list_flow(title)
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(days=60))
    provide(scenario.services)
    return scenario


async def list_pending_actions() -> list[Any]:
    found: list[Any] = (await call(status_api.show_status)).document["pending_actions"]
    return found


async def send_notifications(
    scenario: Scenario, heard: RecordingChannel, after: timedelta = timedelta()
) -> None:
    scenario.world.clock.advance(after)
    await notify(replace(scenario.services, channels=(heard,)))


async def test_flows_that_need_changes_are_an_action_with_a_fix_for_each(
    scenario: Scenario,
) -> None:
    (one,) = await list_pending_actions()

    assert (one["kind"], one["count"]) == ("needs_changes", 2)
    assert one["flows"] == CHANGE_FIRST
    assert (
        one["title"] == f"2 flows need changes first in {scenario.build.environment.display_name}"
    )
    ids = [find_flow_id(scenario, title) for title in CHANGE_FIRST]
    for title, identity in zip(CHANGE_FIRST, ids, strict=True):
        assert f"{title}: " in one["fix"]
        assert f"--flow {identity}" in one["fix"]
    assert one["next_command"] == f"cmkflow plan show {scenario.remediation.id} --needs-changes"


async def test_api_and_commands_count_the_flows_as_needing_changes(scenario: Scenario) -> None:
    attention = (await call(status_api.show_status)).document
    shown = (await call(remediations_api.show_remediation, id=scenario.remediation.id)).document
    (listed,) = (await call(remediations_api.list_remediations)).document["items"]

    assert attention["not_migrated"] == {"needs_changes": 2}
    assert attention["environments"][0]["not_migrated"] == {"needs_changes": 2}
    assert shown["progress"]["not_migrated"] == {"needs_changes": 2}
    assert listed["progress"]["not_migrated"] == {"needs_changes": 2}
    assert "blocked" not in shown["progress"]["flow_states"]
    assert sorted(one["display_name"] for one in shown["needs_changes"]) == CHANGE_FIRST
    async with serve_app() as cli:
        status = await cli.run("status")
        detail = await cli.run("remediation", "show", scenario.remediation.id)
        plan = await cli.run("plan", "show", scenario.remediation.id, "--needs-changes")
        page = await cli.run("plan", "show", scenario.remediation.id)
    assert "1  2 flows need changes first in" in status.stdout
    assert "2 need changes first" in status.stdout
    assert "Completed, 2 not migrated" in detail.stdout
    assert "Needs changes first (2)\n" in detail.stdout
    assert "List of flows" in detail.stdout
    assert "Orders" not in plan.stdout
    assert all(f"{title}  needs changes first" in plan.stdout for title in CHANGE_FIRST)
    assert "Orders" in page.stdout
    for answer in (status, detail, plan):
        assert "blocked" not in answer.stdout


async def test_notification_is_repeated_only_for_additional_flows(scenario: Scenario) -> None:
    heard = RecordingChannel()
    for _ in range(3):
        await send_notifications(scenario, heard, timedelta(days=1))
    assert count_flows(heard) == [2]

    await scenario.order(cause="order-2")
    for _ in range(3):
        await send_notifications(scenario, heard, timedelta(days=1))
    assert count_flows(heard) == [2]

    scenario.build.add_admin_list_flow("A third list")
    await scenario.order(cause="order-3")
    for _ in range(3):
        await send_notifications(scenario, heard, timedelta(days=1))
    assert count_flows(heard) == [2, 3]


async def test_flow_of_a_later_remediation_is_removed_from_the_action(scenario: Scenario) -> None:
    first = find_flow_id(scenario, CHANGE_FIRST[0])
    await scenario.order(RemediationMode.APPLY, first, cause="order-2")
    provide(scenario.services)

    found = {one["kind"]: one for one in await list_pending_actions()}

    assert found["needs_changes"]["flows"] == CHANGE_FIRST[1:]
    assert found["plan_awaiting_approval"]["count"] == 1
    left = (await call(status_api.show_status)).document["not_migrated"]
    assert left == {"needs_changes": 1, "awaiting_approval": 1}


async def test_dry_run_requires_no_action(scenario: Scenario) -> None:
    """After a dry run, nobody has decided to migrate anything."""
    await scenario.services.tables.environment_jobs.clear()
    await scenario.order(RemediationMode.DRY_RUN, cause="order-2")
    provide(scenario.services)

    assert await list_pending_actions() == []


@pytest.mark.parametrize("named", [True, False])
async def test_retry_without_flows_to_retry_gives_the_reason(
    scenario: Scenario, *, named: bool
) -> None:
    flows = ("--flow", CHANGE_FIRST[0]) if named else ()
    async with serve_app() as cli:
        done = await cli.run("retry", scenario.remediation.id, *flows)
        shown = await cli.run("remediation", "show", scenario.remediation.id)

    assert shown.stdout.count("2 need changes first") == 1
    assert done.exit_code == 4
    assert "Nothing was retried. No flow is blocked, failed or waiting: " in done.stdout
    assert ("1 needs changes first." if named else "2 need changes first.") in done.stdout
    assert done.stdout.count("tart a new remediation") == (1 if named else 2)


async def test_retry_by_reason_code_ignores_other_reasons(scenario: Scenario) -> None:
    body = {"reason_code": "firewall_denies"}
    reply = await call(remediation_actions_api.retry_remediation, body, id=scenario.remediation.id)

    assert (reply.status, reply.document["flow_count"]) == (202, 0)
    assert "with the code firewall_denies" in reply.document["message"]


async def test_remediation_with_flows_not_migrated_is_shown_with_a_warning(
    scenario: Scenario,
) -> None:
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    listed = await call(dashboard_api.show_remediations_page)

    assert re.search(r'class="chip is-warn">.*</svg>Completed · 2 not migrated</span>', page.text)
    assert re.search(r'"says is-warn">.*?<span>Completed, 2 left</span>', listed.text)
    assert "2 need changes first" in listed.text


async def test_expiry_of_a_plan_is_not_shown_as_next_check(scenario: Scenario) -> None:
    """A plan that awaits approval has no next check, because the app waits for a person."""
    await scenario.order(
        RemediationMode.APPLY, find_flow_id(scenario, CHANGE_FIRST[0]), cause="order-2"
    )
    provide(scenario.services)
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    async with serve_app() as cli:
        shown = await cli.run("remediation", "show", scenario.remediation.id)

    assert "The approval expires" in page.text
    assert "Next check" not in page.text
    assert "Next check" not in shown.stdout
    assert "Plan awaits approval; it expires " in shown.stdout
