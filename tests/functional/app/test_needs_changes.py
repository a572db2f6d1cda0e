"""Flows that need changes first are counted and listed, reported once, and never retried."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import dashboard_api, remediation_actions_api, remediations_api, status_api
from shared.bootstrap import provide
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.domain.plans.remediation import RemediationMode
from shared.use_cases.notify import notify
from tests.functional.cli.cli_app import served_app
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

CHANGE_FIRST = ["List of flows", "Other list of flows"]


class Heard:
    """A channel that keeps its notifications."""

    name = "heard"

    def __init__(self) -> None:
        """Start without notifications."""
        self.told: list[Notification] = []

    async def send(self, notification: Notification) -> None:
        """Keep the notification."""
        self.told.append(notification)

    def counts(self) -> list[int]:
        """Return how many flows each notification of flows that need changes is about."""
        told = [one.pending_action for one in self.told]
        return [one.count for one in told if one.kind is PendingActionKind.NEEDS_CHANGES]


@pytest.fixture
async def scenario() -> Scenario:
    """A completed remediation: one flow is migrated, and two need changes first."""
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.http_flow("Orders")
    for title in CHANGE_FIRST:
        scenario.build.admin_list_flow(title)
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(days=60))
    provide(scenario.services)
    return scenario


def id_of(scenario: Scenario, title: str) -> str:
    """Return the workflow id of a flow."""
    flows = scenario.build.environment.flows.values()
    return next(flow.workflow_id for flow in flows if flow.name == title)


async def waiting() -> list[Any]:
    """Return the actions required."""
    found: list[Any] = (await call(status_api.show_status)).document["pending_actions"]
    return found


async def look(scenario: Scenario, heard: Heard, after: timedelta = timedelta()) -> None:
    """Send the notifications that are due."""
    scenario.world.clock.advance(after)
    await notify(replace(scenario.services, channels=(heard,)))


async def test_they_wait_for_a_person_with_their_instruction(scenario: Scenario) -> None:
    """The action stays after the remediation is completed, although no job is blocked."""
    (one,) = await waiting()

    assert (one["kind"], one["count"]) == ("needs_changes", 2)
    assert one["flows"] == CHANGE_FIRST
    assert (
        one["title"] == f"2 flows need changes first in {scenario.build.environment.display_name}"
    )
    ids = [id_of(scenario, title) for title in CHANGE_FIRST]
    for title, identity in zip(CHANGE_FIRST, ids, strict=True):
        assert f"{title}: " in one["fix"]
        assert f"--flow {identity}" in one["fix"]
    assert one["next_command"] == f"cmkflow plan show {scenario.remediation.id} --needs-changes"


async def test_blocked_means_the_same_everywhere(scenario: Scenario) -> None:
    """Status, list, page and remediation count these flows as needing changes, not as blocked."""
    attention = (await call(status_api.show_status)).document
    shown = (await call(remediations_api.show_remediation, id=scenario.remediation.id)).document
    (listed,) = (await call(remediations_api.list_remediations)).document["items"]

    assert attention["not_migrated"] == {"needs_changes": 2}
    assert attention["environments"][0]["not_migrated"] == {"needs_changes": 2}
    assert shown["progress"]["not_migrated"] == {"needs_changes": 2}
    assert listed["progress"]["not_migrated"] == {"needs_changes": 2}
    assert "blocked" not in shown["progress"]["flow_states"]
    assert sorted(one["display_name"] for one in shown["needs_changes"]) == CHANGE_FIRST
    async with served_app() as cli:
        status = await cli.run("status")
        detail = await cli.run("remediation", "show", scenario.remediation.id)
        plan = await cli.run("plan", "show", scenario.remediation.id, "--needs-changes")
        page = await cli.run("plan", "show", scenario.remediation.id)
    assert "1  2 flows need changes first in" in status.stdout
    assert "2 needing changes first" in status.stdout
    assert "Completed, 2 not migrated" in detail.stdout
    assert "Needs changes first (2)\n" in detail.stdout
    assert "List of flows" in detail.stdout
    assert "Orders" not in plan.stdout
    assert all(f"{title}  needs changes first" in plan.stdout for title in CHANGE_FIRST)
    assert "Orders" in page.stdout
    for answer in (status, detail, plan):
        assert "blocked" not in answer.stdout


async def test_they_are_told_once_and_again_when_there_are_more(scenario: Scenario) -> None:
    """A new remediation that finds the same flows causes no notification."""
    heard = Heard()
    for _ in range(3):
        await look(scenario, heard, timedelta(days=1))
    assert heard.counts() == [2]

    await scenario.order(cause="order-2")
    for _ in range(3):
        await look(scenario, heard, timedelta(days=1))
    assert heard.counts() == [2]

    scenario.build.admin_list_flow("A third list")
    await scenario.order(cause="order-3")
    for _ in range(3):
        await look(scenario, heard, timedelta(days=1))
    assert heard.counts() == [2, 3]


async def test_a_flow_that_a_later_remediation_takes_up_waits_no_more(scenario: Scenario) -> None:
    """A remediation for this flow only removes it from the action, and the others stay."""
    first = id_of(scenario, CHANGE_FIRST[0])
    await scenario.order(RemediationMode.APPLY, first, cause="order-2")
    provide(scenario.services)

    found = {one["kind"]: one for one in await waiting()}

    assert found["needs_changes"]["flows"] == CHANGE_FIRST[1:]
    assert found["plan_awaiting_approval"]["count"] == 1
    left = (await call(status_api.show_status)).document["not_migrated"]
    assert left == {"needs_changes": 1, "awaiting_approval": 1}


async def test_a_plan_that_was_only_looked_at_asks_nothing_of_anybody(scenario: Scenario) -> None:
    """After a dry run, no person has decided to migrate anything, so nothing is required."""
    await scenario.services.tables.environment_jobs.clear()
    await scenario.order(RemediationMode.DRY_RUN, cause="order-2")
    provide(scenario.services)

    assert await waiting() == []


@pytest.mark.parametrize("named", [True, False])
async def test_a_retry_that_can_do_nothing_says_why(scenario: Scenario, *, named: bool) -> None:
    """The retry says why it does nothing, with or without a title. Its exit code is not zero."""
    flows = ("--flow", CHANGE_FIRST[0]) if named else ()
    async with served_app() as cli:
        done = await cli.run("retry", scenario.remediation.id, *flows)

    assert done.exit_code == 4
    assert "Nothing was retried. No flow is blocked, failed or waiting: " in done.stdout
    assert ("1 needing changes first." if named else "2 needing changes first.") in done.stdout
    assert "Then start a new remediation." in done.stdout


async def test_a_retry_by_code_leaves_what_has_another(scenario: Scenario) -> None:
    """The answer says that no flow has this reason code."""
    body = {"reason_code": "firewall_denies"}
    reply = await call(remediation_actions_api.retry_remediation, body, id=scenario.remediation.id)

    assert (reply.status, reply.document["flow_count"]) == (202, 0)
    assert "with the code firewall_denies" in reply.document["message"]


async def test_a_remediation_that_leaves_flows_is_not_shown_as_done(scenario: Scenario) -> None:
    """The list shows a warning, and the page the number of flows that are not migrated."""
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    listed = await call(dashboard_api.show_remediations_page)

    assert re.search(r'class="chip is-warn">.*</svg>Completed · 2 not migrated</span>', page.text)
    assert re.search(r'"says is-warn">.*?<span>Completed, 2 left</span>', listed.text)
    assert "2 need changes first" in listed.text


async def test_a_plan_that_expires_is_no_next_check(scenario: Scenario) -> None:
    """While a plan awaits approval, the app does nothing automatically."""
    await scenario.order(RemediationMode.APPLY, id_of(scenario, CHANGE_FIRST[0]), cause="order-2")
    provide(scenario.services)
    page = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    async with served_app() as cli:
        shown = await cli.run("remediation", "show", scenario.remediation.id)

    assert "The approval expires" in page.text
    assert "Next check" not in page.text
    assert "Next check" not in shown.stdout
    assert "Plan awaits approval; it expires " in shown.stdout
