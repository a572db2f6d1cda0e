"""Test that commands accept names and beginnings of ids."""

import json
from datetime import timedelta

import pytest

from cmkflow import api_client
from shared.bootstrap import provide
from shared.domain.network.blocked_call import BlockedCall, BlockedCallSymptom
from shared.reason import Reason
from tests.command_tree import build_command_tree, is_group
from tests.fakes.builder import Builder
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    for title in ("Orders", "Orders", "Returns"):
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(cause="change-4711")
    provide(scenario.services)
    return scenario


async def test_commands_accept_names(scenario: Scenario, cli: CommandLine) -> None:
    name = scenario.build.environment.display_name.upper()
    excluded = await cli.run("environment", "set", name, "--exclude", "returns", "-o", "json")
    except_one = ("--except", "Returns", "--yes")
    approved = await cli.run("approve", "change-4711", "--environment", name, *except_one)
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)
    again = await cli.run("remediation", "start", name, "--mode", "assess", "--flow", "Returns")

    returns = next(
        one.workflow_id
        for one in scenario.build.environment.flows.values()
        if one.name == "Returns"
    )
    assert json.loads(excluded.stdout)["settings"]["excluded_flows"] == [returns]
    assert approved.stdout == "1 plan is approved.\n"
    assert {job.display_name for job in (await scenario.read_jobs()).values()} == {"Orders"}
    assert again.exit_code == 0, again.output


async def test_commands_accept_the_beginning_of_an_id(scenario: Scenario, cli: CommandLine) -> None:
    shown = await cli.run("remediation", "show", scenario.remediation.id[:8], "-o", "json")

    assert json.loads(shown.stdout)["remediation"]["id"] == scenario.remediation.id


async def test_name_is_found_on_any_page_of_a_list(
    scenario: Scenario, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_MOST", 1)
    others = [Builder(scenario.world, name=name).environment for name in ("Fabrikam", "Adatum")]

    listed = await cli.run("environment", "list", "-o", "json")
    shown = [await cli.run("environment", "show", one.display_name, "-o", "json") for one in others]

    ids = [one["id"] for one in json.loads(listed.stdout)["items"]]
    assert ids == sorted(scenario.world.environments)
    assert [json.loads(one.stdout)["id"] for one in shown] == [one.id for one in others]


async def test_ambiguous_name_is_rejected_with_the_matching_ids(
    scenario: Scenario, cli: CommandLine
) -> None:
    environment = scenario.build.environment
    words = ("environment", "set", environment.id, "--exclude", "Orders")

    result = await cli.run(*words)

    assert result.exit_code == 2
    ids = [one.workflow_id for one in environment.flows.values() if one.name == "Orders"]
    assert all(f"{one}  Orders" in result.stderr for one in ids)
    assert (await scenario.services.tables.environment_settings.read_all("environment"))[
        0
    ].excluded_flows == set()


@pytest.mark.parametrize(
    "words",
    [
        ("remediation", "show", "change-4712"),
        ("environment", "set", "ENVIRONMENT", "--pilot", "Retruns"),
        ("remediation", "start", "ENVIRONMENT", "--flow", "Retruns"),
        ("approve", "REMEDIATION", "--except", "Retruns", "--yes"),
    ],
)
async def test_unknown_name_is_rejected_with_suggestions(
    scenario: Scenario, cli: CommandLine, words: tuple[str, ...]
) -> None:
    ids = {"ENVIRONMENT": scenario.build.environment.id, "REMEDIATION": scenario.remediation.id}

    result = await cli.run(*(ids.get(one, one) for one in words))

    assert result.exit_code == 3
    assert "Did you mean " in result.stderr
    assert "Returns (" in result.stderr or "change-4711 (" in result.stderr


async def test_unknown_issue_is_rejected_with_suggestions(
    scenario: Scenario, cli: CommandLine
) -> None:
    gap = BlockedCall(
        environment_id=scenario.build.environment.id,
        host="erp.contoso.example",
        display_name="Orders",
        copy_id="copy",
        action="Call",
        run_id="run",
        failed_at=scenario.services.now,
        symptom=BlockedCallSymptom.CONNECTION_REFUSED,
        reason_code=Reason.OUTBOUND_CALL_BLOCKED,
    )
    await scenario.services.tables.blocked_calls.upsert(gap)
    words = ("environment", "ignore", "Contoso", gap.name.replace("erp", "epr"))

    result = await cli.run(*words, "--justification", "a slip")

    assert result.exit_code == 3
    assert f"Did you mean {gap.name}?" in result.stderr


async def test_wrong_id_is_rejected_with_suggestions(scenario: Scenario, cli: CommandLine) -> None:
    (flow, *_) = scenario.build.environment.flows
    slip = flow[:-1] + ("0" if flow[-1] != "0" else "1")

    result = await cli.run("environment", "set", scenario.build.environment.id, "--exclude", slip)

    assert result.exit_code == 3
    assert f"Did you mean Orders ({flow})?" in result.stderr


def test_every_parameter_for_an_id_accepts_a_name() -> None:
    takers = {"environment", "environments", "remediation", "flows", "except_flows", "exclude"}
    found = [
        (words, one.name)
        for words, command in build_command_tree().items()
        if not is_group(command)
        for one in command.params
        if one.name in takers and not (one.help and ("ame" in one.help or "Flow" in one.help))
    ]

    assert found == []


async def test_name_in_the_same_case_has_precedence(scenario: Scenario, cli: CommandLine) -> None:
    environment = scenario.build.environment
    flow = scenario.build.add_http_flow("RETURNS")
    words = ("environment", "set", environment.id, "-o", "json", "--exclude")

    exact = await cli.run(*words, "RETURNS")
    neither = await cli.run(*words, "returns")

    assert json.loads(exact.stdout)["settings"]["excluded_flows"] == [flow.workflow_id]
    assert neither.exit_code == 2
    assert all(f"  {title}" in neither.stderr for title in ("RETURNS", "Returns"))
