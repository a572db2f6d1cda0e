import re
from dataclasses import replace
from datetime import timedelta

import pytest

from cmkflow.api_client import ExitCode
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.notification import NotificationDelivery
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.use_cases.start_remediation import start_remediation
from tests.functional.cli.api_scenario import (
    build_api_scenario,
    parse_output,
    pass_time,
    start_planned_remediation,
)
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.remediation_scenario import Scenario

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def scenario() -> Scenario:
    return await build_api_scenario()


async def test_environment_commands_list_show_and_change_settings(
    scenario: Scenario, cli: CommandLine
) -> None:
    environment = scenario.build.environment.id
    listed = await cli.run("environment", "list")
    (flow,) = scenario.build.environment.flows
    first = await cli.run(
        "environment",
        "set",
        environment,
        "--approval-policy",
        "required",
        "--pilot",
        flow,
        "--max-flows",
        "7",
    )
    second = await cli.run("environment", "set", environment, "--pilot", "", "-o", "json")
    shown = await cli.run("environment", "show", environment)

    assert listed.exit_code == first.exit_code == 0
    assert environment in listed.stdout
    assert "read_only" in listed.stdout
    assert flow in first.stdout
    settings = parse_output(second)["settings"]
    assert (settings["approval_policy"], settings["max_flows"], settings["pilot_flows"]) == (
        "required",
        7,
        [],
    )
    assert "7 flows per remediation" in shown.stdout


async def test_remediation_is_started_approved_and_rolled_back(
    scenario: Scenario, cli: CommandLine
) -> None:
    scenario.world.traffic.beat(
        scenario.world
    )  # a run shows the plan which trigger URL to look for
    identity = await start_planned_remediation(scenario, cli)
    outputs = [
        await cli.run("remediation", "list"),
        await cli.run("plan", "show", identity, "--full"),
        await cli.run("approve", identity, "--yes"),
    ]
    await pass_time(scenario, timedelta(days=30))
    (job,) = (await scenario.read_jobs()).values()
    *earlier, last = job.history
    counted = replace(job, history=(*earlier, replace(last, requests=3)))
    await scenario.services.tables.flow_jobs.upsert(counted)
    outputs.append(await cli.run("remediation", "show", identity, "--full"))
    outputs.append(await cli.run("rollback", identity, "--yes"))
    await pass_time(scenario, timedelta(days=30))
    (job,) = (await scenario.read_jobs()).values()

    assert [one.exit_code for one in outputs] == [0] * 5, outputs
    listed, plan, approved, shown, rolled = (one.stdout for one in outputs)
    assert "awaiting_approval" in listed
    assert re.search(r"[0-9a-f]{12}\tawaiting_approval", listed) is None
    assert re.search(r"Caller: setting .+ of the app", plan)
    assert re.search(r"\d\. turn the copy on", plan)
    assert approved == "1 plan is approved.\n"
    assert re.findall(r"\(\d+ requests?\)", shown) == ["(3 requests)"]
    assert rolled == "1 job is cancelled or rolled back.\n"
    assert "retired" in shown
    assert "admin@contoso.example" in shown
    assert job.state is FlowJobState.ROLLED_BACK
    assert not any("sig=" in one.stdout for one in outputs)


@pytest.mark.parametrize("command", [("remediation", "cancel"), ("rollback",)])
async def test_cancelled_plan_is_named_although_no_job_has_started(
    scenario: Scenario, cli: CommandLine, command: tuple[str, ...]
) -> None:
    identity = await start_planned_remediation(scenario, cli)
    first = await cli.run(*command, identity, "--yes")
    shown = await cli.run("remediation", "show", identity)
    second = await cli.run(*command, identity, "--yes")

    assert first.stdout == "The plan for Contoso is cancelled: it starts no more flows.\n"
    assert " 1 cancelled: start a new remediation" in shown.stdout
    assert "not approved in time" not in shown.stdout
    assert second.stdout == "Nothing was changed: no flow is left to cancel or roll back.\n"


async def test_ids_and_next_commands_are_not_broken_over_lines(
    scenario: Scenario, cli: CommandLine
) -> None:
    """People must be able to copy ids and commands."""
    identity = await start_planned_remediation(scenario, cli)
    listed = await cli.run("remediation", "list")
    waiting = await cli.run("remediation", "show", identity)
    plan = await cli.run("plan", "show", identity, "--full")
    await cli.run("approve", identity, "--yes")
    await pass_time(scenario, timedelta(days=30))
    (job,) = (await scenario.read_jobs()).values()
    shown = await cli.run("remediation", "show", identity, "--full")
    retired = await cli.run("deletion", "list", identity)

    assert identity in listed.stdout
    assert f"cmkflow approve {identity[:8]}" in " ".join(waiting.stdout.split())
    for output in (plan, shown, retired):
        assert job.original.id in output.stdout


async def test_blocked_flow_is_shown_with_its_reason_code_and_next_command(
    scenario: Scenario, cli: CommandLine
) -> None:
    identity = await start_planned_remediation(scenario, cli)
    await cli.run("approve", identity, "--yes")
    await cli.run(
        "environment", "set", scenario.build.environment.id, "--approval-policy", "read_only"
    )
    await pass_time(scenario, timedelta(days=30))
    shown = await cli.run("remediation", "show", identity)
    listed = await cli.run("remediation", "list", "--state", "blocked")

    text = " ".join(shown.stdout.split())
    assert "Blocked: environment_read_only (1) Orders: " in text
    assert re.search(rf"{identity}\t.+\tblocked\t1\n", listed.stdout)
    assert " Fix Set its approval policy " in text
    assert f"cmkflow retry {identity[:8]} --code environment_read_only" in text


async def test_retry_while_the_kill_switch_is_on_reports_it(
    scenario: Scenario, cli: CommandLine
) -> None:
    identity = await start_planned_remediation(scenario, cli)
    await cli.run("approve", identity, "--yes")
    await cli.run(
        "environment", "set", scenario.build.environment.id, "--approval-policy", "read_only"
    )
    await pass_time(scenario, timedelta(days=1))
    await cli.run(
        "environment", "set", scenario.build.environment.id, "--approval-policy", "required"
    )
    await cli.run("kill-switch", "on", "--justification", "an audit")
    retried = await cli.run("retry", identity)
    await pass_time(scenario, timedelta(days=1))
    (held,) = (await scenario.read_jobs()).values()
    await cli.run("kill-switch", "off", "--justification", "done")
    rolled = await cli.run("rollback", identity, "--yes")

    first, told = retried.stdout.splitlines()
    assert first == "1 job is retried."
    assert told == (
        "The kill switch is on. Until it is off (cmkflow kill-switch off), the app does not change "
        "Orders, except to turn on a flow that a cutover left off."
    )
    assert (held.state, held.reason_code) == (FlowJobState.WAITING, "kill_switch_on")
    assert rolled.stdout == "1 job is cancelled or rolled back.\n"


async def test_health_names_a_failing_channel(scenario: Scenario, cli: CommandLine) -> None:
    """Notifications about a failing channel name this command."""
    now = scenario.services.now
    row = NotificationDelivery(
        pending_action_id="a",
        channel="teams",
        first_seen_at=now,
        next_attempt_at=now,
        consecutive_failures=3,
        error="No.",
    )
    await scenario.services.tables.notification_deliveries.insert(row)

    shown = await cli.run("health")

    assert "Failing channels" in shown.stdout
    assert "teams, 1 waiting: No." in shown.stdout


async def test_flow_show_prints_state_callers_and_history(
    scenario: Scenario, cli: CommandLine
) -> None:
    scenario.world.traffic.beat(scenario.world)
    identity = await start_planned_remediation(scenario, cli)
    await cli.run("approve", identity, "--yes")
    environment = scenario.build.environment.id
    await cli.run("environment", "set", environment, "--approval-policy", "read_only")
    await pass_time(scenario, timedelta(days=1))
    (job,) = (await scenario.read_jobs()).values()

    shown = await cli.run("flow", "show", "Orders")
    as_json = parse_output(await cli.run("flow", "show", job.original.id[:8], "-o", "json"))
    unknown = await cli.run("flow", "show", "Ordres", "--remediation", identity)
    unlike = await cli.run("flow", "show", "Payroll")

    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert lines[0] == f"Orders · #{job.original.id[:8]} Blocked: environment_read_only"
    assert f"Then cmkflow retry {identity[:8]} --flow {job.original.id[:8]}" in lines
    assert any(line.startswith("setting ") and line.endswith(" the app") for line in lines)
    assert any(" blocked " in line for line in lines)
    assert as_json["flow"]["original_id"] == job.original.id
    assert as_json["remediation_id"] == identity
    assert unknown.exit_code == ExitCode.NOT_FOUND
    assert "Did you mean Orders (" in unknown.stderr
    assert "No remediation has a job for the flow 'Payroll'." in unlike.stderr
    assert "cmkflow flow list ENVIRONMENT." in unlike.stderr


async def test_remediation_of_a_read_only_environment_is_shown_as_assessed(
    scenario: Scenario, cli: CommandLine
) -> None:
    """ "Completed" alone would suggest that flows were changed."""
    order = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.APPLY,
        start_source=StartSource.DAILY_CHECK,
        idempotency_key="2026-03-02",
        environment_ids=(scenario.build.environment.id,),
    )
    remediation = await start_remediation(scenario.services, order)
    await pass_time(scenario, timedelta(hours=1))

    shown = await cli.run("remediation", "show", remediation.id, "--full")

    assert "Started by the daily check" in shown.stdout
    assert "only mode assess" in shown.stdout


async def test_repeated_start_with_a_name_returns_the_same_remediation(
    scenario: Scenario, cli: CommandLine
) -> None:
    order = (
        "remediation",
        "start",
        scenario.build.environment.id,
        "--name",
        "change-7",
        "-o",
        "json",
    )
    first, again = await cli.run(*order), await cli.run(*order)

    assert parse_output(first)["id"] == parse_output(again)["id"]
    assert parse_output(first)["mode"] == "dry_run"


async def test_cancel_asks_before_it_changes_anything(scenario: Scenario, cli: CommandLine) -> None:
    identity = await start_planned_remediation(scenario, cli)
    refused = await cli.run("remediation", "cancel", identity, answer="n\n")
    nobody = await cli.run("remediation", "cancel", identity)
    retried = await cli.run("retry", identity)
    cancelled = await cli.run("remediation", "cancel", identity, answer="y\n")
    await pass_time(scenario, timedelta(hours=1))
    listed = parse_output(
        await cli.run("remediation", "list", "--state", "cancelled", "-o", "json")
    )

    assert (refused.exit_code, nobody.exit_code) == (1, 2)
    assert "Nothing was changed." in refused.stderr
    assert "nobody can answer the question here. Use --yes." in nobody.stderr
    assert retried.exit_code == ExitCode.ACTION_REQUIRED
    assert "Nothing was retried. No flow is blocked, failed or waiting: 1 not started." in (
        retried.stdout
    )
    assert cancelled.exit_code == 0
    assert [item["remediation"]["id"] for item in listed["items"]] == [identity]


@pytest.mark.usefixtures("scenario")
async def test_kill_switch_commands_turn_and_show_it(cli: CommandLine) -> None:
    before = await cli.run("kill-switch", "show")
    await cli.run("kill-switch", "on", "--justification", "change freeze")
    during = await cli.run("kill-switch", "show")
    health = await cli.run("health")
    after = await cli.run("kill-switch", "off", "--justification", "over")

    assert "It was never used" in before.stdout
    assert "on. The app writes nothing, except to turn on a flow" in during.stdout
    assert "admin@contoso.example" in during.stdout
    assert "change freeze" in during.stdout
    assert health.stdout.splitlines()[1].split() == ["Kill", "switch", "on"]
    assert "off. Writes are allowed" in after.stdout


async def test_firewall_issue_is_ignored_by_name(scenario: Scenario, cli: CommandLine) -> None:
    environment, gap = scenario.build.environment.id, "service_tag:powerplatformplex"
    wrong = await cli.run(
        "environment", "ignore", environment, gap[:-2], "--justification", "own proxy"
    )
    waived = await cli.run(
        "environment", "ignore", environment, gap, "--justification", "own proxy"
    )
    shown = await cli.run("environment", "show", environment)

    assert f"Did you mean {gap}?" in wrong.stderr
    assert waived.stdout == "0 jobs are retried.\n"
    assert f"{gap}: own proxy" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("environment", "show", NOWHERE), "Not found"),
        (
            ("environment", "set", "ENVIRONMENT", "--approval-policy", "perhaps"),
            "is not one of 'read_only', 'required', 'automatic'",
        ),
        (("environment", "set", "ENVIRONMENT"), "Use at least one option"),
        (
            ("environment", "set", "ENVIRONMENT", "--writable-firewall", "kv-shop"),
            "writable_firewalls.0 (kv-shop): Use the resource id of the Azure resource, such as",
        ),
        (
            ("environment", "set", "ENVIRONMENT", "--notification-recipient", "Anna & sig=abc123x"),
            "  notification_recipients.0 (Anna & sig=«",
        ),
        (
            ("remediation", "start", "ENVIRONMENT", "--mode", "apply"),
            "(environment_read_only): ",
        ),
        (("remediation", "show", ""), "use 1 to 80 letters"),
    ],
)
async def test_error_of_the_api_is_printed_to_stderr(
    scenario: Scenario, cli: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    environment = scenario.build.environment.id
    result = await cli.run(
        *(environment if one == "ENVIRONMENT" else one for one in arguments), "-o", "json"
    )

    assert (bool(result.exit_code), result.stdout) == (True, "")
    assert said in result.stderr
