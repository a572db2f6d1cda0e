import json
from datetime import timedelta
from typing import Any

from typer.testing import Result

from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario


async def build_api_scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    provide(scenario.services)
    return scenario


async def pass_time(scenario: Scenario, time: timedelta) -> None:
    """Let the app work for this time, then provide the current services to the API."""
    await scenario.run(time)
    provide(scenario.services)


def parse_output(result: Result) -> Any:
    """Return the JSON that a successful command printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def start_planned_remediation(scenario: Scenario, cli: CommandLine) -> str:
    """Permit changes, start a remediation and let the app plan it. Return its id."""
    environment = scenario.build.environment.id
    await cli.run("environment", "set", environment, "--approval-policy", "required")
    order = ("remediation", "start", environment, "--mode", "apply", "-o", "json")
    identity: str = parse_output(await cli.run(*order))["id"]
    await pass_time(scenario, timedelta(minutes=30))
    return identity
