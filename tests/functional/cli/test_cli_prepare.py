from datetime import timedelta
from pathlib import Path

import pytest

from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from tests.fakes.definitions import parse_facts
from tests.functional.callers.test_canvas_apps import add_app
from tests.functional.cli.cli_app import CommandLine
from tests.functional.preparing.prepare_scenario import add_input_flow
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

_MODE = ("--mode", "prepare")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def pass_time(scenario: Scenario) -> str:
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)
    remediations = await scenario.services.tables.remediations.read_all("remediation")
    return max(remediations, key=lambda one: one.created_at).id


async def test_prepare_converts_a_named_flow_and_rolls_it_back(
    scenario: Scenario, cli: CommandLine
) -> None:
    app = add_input_flow(scenario)
    environment = scenario.build.environment.id

    started = await cli.run("remediation", "start", environment, *_MODE, "--flow", app.workflow_id)
    identity = await pass_time(scenario)
    shown = await cli.run("plan", "show", identity, "--full")
    await cli.run("approve", identity, "--yes")
    await pass_time(scenario)
    done = await cli.run("remediation", "show", identity)
    kind = parse_facts(app.client_data).trigger_kind
    await cli.run("rollback", identity, "--yes")
    await pass_time(scenario)

    assert "started (prepare)" in started.stdout
    assert '| +      "kind": "PowerAppV2"' in shown.stdout
    assert "What changes in the definition:" in shown.stdout
    assert "convert its trigger  awaits approval" in shown.stdout
    assert "prepared" in done.stdout
    assert (kind, parse_facts(app.client_data).trigger_kind) == ("PowerAppV2", "PowerApp")


async def test_plan_requires_no_change_of_the_app_of_an_added_flow(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """Adding a flow to a solution makes no copy."""
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, form.workflow_id)

    await cli.run("remediation", "start", scenario.build.environment.id, *_MODE)
    identity = await pass_time(scenario)
    shown = await cli.run("plan", "show", identity, "--full")
    page = tmp_path / "plan.html"
    await cli.run("plan", "show", identity, "--html", str(page))

    for text in (shown.stdout, page.read_text()):
        assert "canvas app Requests" in text
        assert "by hand" not in text
        # What a conversion would change is not among the writes of this plan.
        assert "PowerAppV2" not in text


async def test_prepare_of_a_read_only_environment_is_rejected(
    scenario: Scenario, cli: CommandLine
) -> None:
    scenario.mode = ApprovalPolicy.READ_ONLY
    await scenario.opt_in()

    refused = await cli.run("remediation", "start", scenario.build.environment.id, *_MODE)

    assert refused.exit_code == 4
    assert "cmkflow environment set" in refused.stderr
