"""Test `cmkflow audit list` and `cmkflow deletion list`."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from cmkflow.api_client import ExitCode
from shared.use_cases.show_audit import show_audit
from tests.functional.cli.api_scenario import (
    build_api_scenario,
    parse_output,
    pass_time,
    start_planned_remediation,
)
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_api_scenario()


async def test_audit_log_names_the_function_key_beside_a_claimed_name(
    scenario: Scenario, cli: CommandLine
) -> None:
    """A person with the function key can claim any name."""
    await cli.run("kill-switch", "on", "--justification", "an audit")
    shown = await cli.run("audit", "list")

    assert "function key (admin@contoso.example)" in shown.stdout


async def test_audit_log_names_person_action_and_change(
    scenario: Scenario, cli: CommandLine
) -> None:
    environment = scenario.build.environment
    await cli.run("environment", "set", environment.id, "--approval-policy", "required")
    start = ("remediation", "start", environment.id, "--mode", "apply", "-o", "json")
    identity = parse_output(await cli.run(*start))["id"]
    await cli.run("approve", identity, "--version", "0" * 16)

    shown = await cli.run("audit", "list")

    titles, *rows = [line.split("\t")[2:] for line in shown.stdout.splitlines()]
    by_action = {action: rest for action, *rest in rows}
    name, remediation = environment.display_name, f"#{identity[:8]}"
    assert titles == ["Action", "About", "Result", "Note"]
    assert by_action["Tried to approve the plan"][:2] == [remediation, "rejected"]
    assert by_action["Started a remediation"] == [
        remediation,
        "done",
        f"mode apply; environment ids {name}",
    ]
    assert by_action["Changed the settings"] == [
        name,
        "done",
        "approval policy read_only → required",
    ]
    assert environment.id not in shown.stdout


async def test_the_audit_log_is_filtered_by_each_option(
    scenario: Scenario, cli: CommandLine
) -> None:
    environment = scenario.build.environment
    start = ("remediation", "start", environment.id, "--name", "pilot", "-o", "json")
    await cli.run(*start)
    await cli.run("approve", "pilot", "--version", "0" * 16)
    await cli.run("kill-switch", "on", "--justification", "an audit")
    today, yesterday = (
        f"{scenario.services.now - timedelta(days=days):%Y-%m-%d}" for days in (0, 1)
    )

    async def list_operations(*options: str) -> set[str]:
        answer = parse_output(await cli.run("audit", "list", *options, "-o", "json"))
        return {one["operation"] for one in answer["items"]}

    operations = {"start_remediation", "approve_remediation", "set_kill_switch"}
    assert await list_operations("--since", today, "--until", today, "--who", "ADMIN") == operations
    assert (
        await list_operations("--until", yesterday)
        == await list_operations("--who", "nobody")
        == set()
    )
    assert await list_operations("--result", "rejected") == {"approve_remediation"}
    assert await list_operations("--operation", "set_kill_switch") == {"set_kill_switch"}
    about = {"start_remediation", "approve_remediation"}
    assert await list_operations("--environment", environment.display_name) == about
    assert await list_operations("--remediation", "pilot") == about


async def test_what_an_audit_list_lacks_is_a_warning_in_every_format(
    scenario: Scenario, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await cli.run("kill-switch", "on", "--justification", "an audit")
    rows = scenario.fakes.store.rows
    damaged = min(name for name in rows if name[0] == "auditlog")
    rows[damaged] = replace(rows[damaged], columns={**rows[damaged].columns, "data0": "{"})
    monkeypatch.setattr(show_audit, "__kwdefaults__", {"after": "", "row_limit": 2})

    shown = await cli.run("audit", "list")
    exported = await cli.run("audit", "list", "-o", "json")

    assert shown.stderr == exported.stderr
    unreadable, cut = shown.stderr.splitlines()
    assert unreadable.startswith(f"Cannot read row {'/'.join(damaged)}: ")
    assert re.fullmatch(
        r"Only entries since [\d-]+ [\d:]+ UTC were searched\. "
        rf"To search further back, add --after {parse_output(exported)['next']}\.",
        cut,
    )


async def test_deletions_of_all_remediations_are_listed_and_filtered(
    scenario: Scenario, cli: CommandLine
) -> None:
    identity = await start_planned_remediation(scenario, cli)
    await cli.run("approve", identity, "--yes")
    await pass_time(scenario, timedelta(days=30))
    day = f"{scenario.services.now + timedelta(days=30):%Y-%m-%d}"
    await cli.run("deletion", "schedule", identity, "--date", day, "--yes")
    environment = scenario.build.environment.display_name

    listed = await cli.run("deletion", "list", "--environment", environment, "--search", "ord")
    kept = await cli.run("deletion", "list", "--state", "cancelled")
    wrong = await cli.run("deletion", "list", identity, "--state", "cancelled")

    titles, line = (one.split("\t") for one in listed.stdout.splitlines())
    row = dict(zip(titles, line, strict=False))
    assert (row["Flow"], row["State"], row["Environment"], row["Remediation"]) == (
        "Orders",
        "scheduled",
        environment,
        identity,
    )
    assert len(kept.stdout.splitlines()) == 1
    assert wrong.exit_code == ExitCode.USAGE_ERROR
    assert "Use --state without a remediation." in wrong.stderr
