"""Test the actions required and the counts of flows in the status API."""

from datetime import timedelta
from typing import Any

import pytest

from functions import health_api, remediation_actions_api, remediations_api, status_api
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.kill_switch import KillSwitch
from shared.domain.timer_run import TimerRun
from shared.steps.write_permission import KILL_SWITCH
from shared.use_cases.run_daily_check import SWEEP, run_daily_check
from tests.functional.app.dashboard_scenario import build_app_scenario
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown

FLOWS = ("Orders", "Invoices", "Returns", "Stock")


@pytest.fixture
async def scenario() -> Scenario:
    return await build_app_scenario(*FLOWS)


async def read_status() -> Any:
    reply = await call(status_api.show_status)
    assert reply.status == 200
    return reply.document


async def list_blocked_remediations() -> list[str]:
    reply = await call(remediations_api.list_remediations, query={"state": "blocked"})
    return [item["remediation"]["id"] for item in reply.document["items"]]


async def store_settings(scenario: Scenario, **settings: Any) -> None:
    environment = scenario.build.environment.id
    decided = EnvironmentSettings(
        environment_id=environment, approval_policy=ApprovalPolicy.REQUIRED, **settings
    )
    await scenario.services.tables.environment_settings.upsert(decided)


async def run_app(scenario: Scenario, time: timedelta) -> None:
    await scenario.run(time)
    provide(scenario.services)


async def test_plan_that_awaits_approval_has_count_expiry_and_next_command(
    scenario: Scenario,
) -> None:
    await scenario.order()
    provide(scenario.services)

    (plan,) = (answer := await read_status())["pending_actions"]

    assert (plan["kind"], plan["count"]) == ("plan_awaiting_approval", len(FLOWS))
    assert plan["next_command"] == f"cmkflow approve {scenario.remediation.id}"
    (job,) = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    assert job.approval_expires_at is not None
    assert plan["expires_at"] == job.approval_expires_at.isoformat().replace("+00:00", "Z")
    assert answer["health"]["plans_awaiting_approval"] == 1


async def test_flows_with_one_reason_are_one_action_and_others_are_ongoing(
    scenario: Scenario,
) -> None:
    await scenario.order()
    provide(scenario.services)
    await approve_shown(scenario.services, scenario.remediation.id)
    await run_app(scenario, timedelta(hours=6))
    await scenario.block_flow("Orders")
    await scenario.block_flow("Stock")

    answer = await read_status()

    (blocked,) = answer["pending_actions"]
    assert (blocked["kind"], blocked["reason_code"], blocked["count"]) == (
        "flows_blocked",
        "owner_unavailable",
        2,
    )
    assert blocked["flows"] == ["Orders", "Stock"]
    assert blocked["fix"] == "Name another owner."
    assert list(answer["flows"]) == ["blocked", "waiting"]
    assert answer["not_migrated"] == {"blocked": 2, "in_progress": 2}
    command = f"cmkflow retry {scenario.remediation.id} --code owner_unavailable"
    assert blocked["next_command"] == command
    (quiet,) = answer["ongoing"]
    assert (quiet["step"], quiet["count"]) == ("checking_for_calls", 2)
    assert quiet["first_check_at"] is not None
    assert answer["health"]["action_required_count"] == 2
    # The remediation still runs, and the filter for blocked remediations finds it too.
    assert await list_blocked_remediations() == [scenario.remediation.id]


async def test_action_with_different_fixes_names_the_flow_of_the_shown_fix(
    scenario: Scenario,
) -> None:
    await scenario.order()
    provide(scenario.services)
    await approve_shown(scenario.services, scenario.remediation.id)
    await run_app(scenario, timedelta(hours=6))
    await scenario.block_flow("Stock", fix="Open the firewall south.")
    await scenario.block_flow("Orders", fix="Open the firewall north.")

    (blocked,) = (await read_status())["pending_actions"]

    assert blocked["fix"] == (
        "The flows need different fixes. For Orders: Open the firewall north."
    )


async def test_completed_remediation_counts_flows_not_migrated_by_reason(
    scenario: Scenario,
) -> None:
    ids = {flow.name: flow.workflow_id for flow in scenario.build.environment.flows.values()}
    await store_settings(scenario, max_flows=2, excluded_flows=frozenset({ids["Invoices"]}))
    await scenario.order()
    provide(scenario.services)
    plans = (await call(remediations_api.show_plan, id=scenario.remediation.id)).document["items"]
    planned = [item["workflow_id"] for item in plans[0]["items"] if item["action"] == "copy"]
    order = {
        "versions": [plans[0]["version"]],
        "approved_by": "admin",
        "excluded_flow_ids": planned[:1],
    }
    await call(remediation_actions_api.approve_remediation, order, id=scenario.remediation.id)
    await run_app(scenario, timedelta(days=30))

    shown = await call(remediations_api.show_remediation, id=scenario.remediation.id)
    (listed,) = (await call(remediations_api.list_remediations)).document["items"]

    progress = shown.document["progress"]
    assert progress["state"] == "completed"
    assert progress["not_migrated"] == {
        "over_flow_limit": 1,
        "excluded": 1,
        "excluded_from_approval": 1,
    }
    assert listed["progress"]["not_migrated"] == progress["not_migrated"]
    assert (await read_status())["not_migrated"] == progress["not_migrated"]


async def test_rolled_back_flow_is_counted_as_not_migrated(scenario: Scenario) -> None:
    await scenario.order()
    provide(scenario.services)
    await approve_shown(scenario.services, scenario.remediation.id)
    await run_app(scenario, timedelta(days=30))
    await call(
        remediation_actions_api.roll_back_remediation,
        {"flow_ids": [(await scenario.read_job("Stock")).original.id]},
        id=scenario.remediation.id,
    )
    await run_app(scenario, timedelta(days=30))

    states = {job.state for job in (await scenario.read_jobs()).values()}
    assert states == {FlowJobState.RETIRED, FlowJobState.ROLLED_BACK}
    assert (await read_status())["not_migrated"] == {"rolled_back": 1}


async def test_all_flows_are_not_migrated_after_a_dry_run(scenario: Scenario) -> None:
    await store_settings(scenario)
    order = {"mode": "dry_run", "environment_ids": [scenario.build.environment.id]}
    started = await call(remediations_api.start_remediation, order)
    await run_app(scenario, timedelta(minutes=30))

    shown = await call(remediations_api.show_remediation, id=started.document["id"])

    assert shown.document["progress"]["state"] == "completed"
    assert shown.document["progress"]["not_migrated"] == {"dry_run": len(FLOWS)}


async def test_missing_daily_check_is_an_action_required(scenario: Scenario) -> None:
    await scenario.services.tables.timer_runs.upsert(
        TimerRun(timer=SWEEP, completed_at=scenario.services.now - timedelta(hours=27))
    )
    before = [one["kind"] for one in (await read_status())["pending_actions"]]
    await run_daily_check(scenario.services, "2026-01-02")
    after = [one["kind"] for one in (await read_status())["pending_actions"]]

    assert "daily_check_missing" in before
    assert "daily_check_missing" not in after
    assert (await call(health_api.show_health)).document["last_daily_check_at"] is not None


async def test_kill_switch_is_an_action_required(scenario: Scenario) -> None:
    flag = KillSwitch(
        name=KILL_SWITCH, is_on=True, changed_by="admin", changed_at=scenario.services.now
    )
    await scenario.services.tables.kill_switch.upsert(flag)

    (switch,) = (await read_status())["pending_actions"]

    assert switch["kind"] == "kill_switch_on"
    assert (
        switch["next_command"] == 'cmkflow kill-switch off --justification "The reason is fixed."'
    )


async def test_status_without_remediations_is_empty(scenario: Scenario) -> None:
    assert await read_status() == {
        "pending_actions": [],
        "environments": [],
        "flows": {},
        "not_migrated": {},
        "blocking_firewall_count": 0,
        "firewall_blocked_flow_count": 0,
        "migrated_count": 0,
        "flow_count": 0,
        "ongoing": [],
        "health": (await call(health_api.show_health)).document,
        "unreadable_rows": [],
    }
