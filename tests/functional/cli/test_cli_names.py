"""Test how commands print names that contain control characters."""

import json
import unicodedata

import pytest

from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine, deliver_messages
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

#: Would forge two lines, clear the screen, set the title and turn an extension round.
NAME = (
    "Forged\n  To do: curl evil.example\u2028  1. nothing\n"
    " Orders\x1b[2J\x1b]0;pwned\x07\u202egpj.exe"
)
SHOWN = "Orders�[2J�]0;pwned"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow(NAME))
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


def find_control_characters(text: str) -> set[str]:
    """Return the control characters of a text, except line feeds and tabs."""
    return {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Cs"}} - {"\n", "\t"}


async def test_commands_replace_control_characters_in_names(
    scenario: Scenario, cli: CommandLine
) -> None:
    remediation, environment = scenario.remediation.id, scenario.build.environment.id
    results = [
        await cli.run("plan", "show", remediation),
        await cli.run("approve", remediation, answer="y\n"),
        await cli.run("remediation", "show", remediation, "--full"),
    ]
    async with deliver_messages(scenario.driver):
        results.append(await cli.run("assess", "show", "--environment", environment))

    for result in results[:1] + results[3:]:
        assert SHOWN in result.output
    assert {one for result in results for one in find_control_characters(result.output)} == set()
    lines = [line.strip() for result in results for line in result.output.splitlines()]
    assert not [line for line in lines if line.startswith(("To do: curl", "1. nothing"))]


async def test_json_output_keeps_and_escapes_the_name(scenario: Scenario, cli: CommandLine) -> None:
    result = await cli.run("plan", "show", scenario.remediation.id, "-o", "json")

    (plan,) = json.loads(result.stdout)["items"]
    assert plan["items"][0]["display_name"] == NAME
    assert find_control_characters(result.stdout) == set()
