import json
from dataclasses import replace

import pytest

from shared.bootstrap import provide
from tests.fakes.sound_key import KEY, VAULT_URL
from tests.functional.cli.cli_app import deliver_messages, serve_app
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    link = scenario.build.apply_key()
    policies = scenario.world.policies
    policies[link.policy_id] = replace(policies[link.policy_id], key_version="v1")
    [key] = scenario.world.keys[VAULT_URL, KEY]
    scenario.world.keys[VAULT_URL, KEY] = [replace(key, is_enabled=False)]
    return scenario


async def test_key_check_prints_findings_environments_and_policy_replacement(
    scenario: Scenario,
) -> None:
    async with serve_app() as cli:
        answer = await cli.run("key", "check")

    shown = " ".join(answer.output.split())
    assert answer.exit_code == 0
    assert "pp-cmk of kv-cmk" in shown
    assert "problem key enabled: The key is disabled. These environments stop: Contoso." in shown
    assert "az keyvault key set-attributes --vault-name kv-cmk" in shown
    assert "1. Make sure that no remediation of these environments" in shown


async def test_assessment_checks_a_key_without_a_policy(scenario: Scenario) -> None:
    scenario.world.policies.clear()
    environment = scenario.build.environment
    environment.policy = None
    asked = ("assess", "show", "--environment", environment.id, "-o", "json")
    async with serve_app() as cli, deliver_messages(scenario.driver):
        named = await cli.run(*asked, "--vault", "kv-cmk", "--key", KEY)
        half = await cli.run(*asked, "--vault", "kv-cmk")

    [found] = json.loads(named.stdout)["items"]
    [section] = [one for one in found["sections"] if one["topic"] == "key"]
    levels = {one["code"]: one["level"] for one in section["findings"]}
    assert levels["key_enabled"] == "problem"
    assert half.exit_code == 1
    assert "Give both the vault and the key, or neither." in half.stderr


async def test_key_check_of_one_key_needs_no_policy(scenario: Scenario) -> None:
    scenario.world.policies.clear()
    async with serve_app() as cli:
        answer = await cli.run("key", "check", "--vault", "kv-cmk", "--key", KEY, "-o", "json")
        half = await cli.run("key", "check", "--vault", "kv-cmk")
        strange = await cli.run("key", "check", "--vault", "kv2", "--key", KEY)
        none = await cli.run("key", "check")

    [found] = json.loads(answer.stdout)["items"]
    assert (found["policy_id"], found["level"]) == ("", "problem")
    assert {one["code"]: one["level"] for one in found["findings"]}["key_enabled"] == "problem"
    assert (half.exit_code, strange.exit_code) == (2, 3)
    assert "Give both the vault and the key, or neither." in half.stderr
    assert "kv2" in strange.stderr
    assert "Use --vault and --key" in none.stdout
