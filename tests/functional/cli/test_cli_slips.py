"""Test commands with empty or invalid values, addresses and keys."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.bootstrap import provide
from tests.command_tree import build_command_tree, is_group
from tests.functional.cli.cli_app import CommandLine, deliver_messages, serve_app
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

#: Options for which an empty text means something, or as much as leaving them out.
MAY_BE_EMPTY = {
    ("environment set", "maintenance_window"),
    ("environment set", "exclude"),
    ("environment set", "pilot"),
    ("audit list", "after"),
    ("audit list", "who"),
    ("audit list", "operation"),
    ("audit list", "environment"),
    ("audit list", "remediation"),
    ("deletion list", "search"),
    ("deletion list", "environment"),
    ("deletion list", "after"),
    ("remediation list", "after"),
    ("assess show", "policy"),
    ("configure", "address"),
}
#: What a parameter needs when another one is empty.
EXAMPLES = {
    "file": "evidence.zip",
    "use": "none",
    "flows": "Orders",
    "flow": "Orders",
    "environment": "e0000000-0000-4000-8000-000000000001",
    "environments": "e0000000-0000-4000-8000-000000000001",
    "code": "firewall_denies",
    "issue": "app_service:x",
    "justification": "because",
    "day": "2026-12-01",
    "paths": "flow.json",
    "name": "Order portal",
    "tenant": "e0000000-0000-4000-8000-000000000001",
    "client_id": "e0000000-0000-4000-8000-000000000001",
    "request": "environment-limit",
    "ticket": "2603020050001234",
}


def _list_parameters() -> dict[str, list[str]]:
    """Return the parameters that take a value, by command.

    Omits the groups `service-account` and `network`, and the parameters for the app and its key.
    """
    found = {
        " ".join(words): [
            str(parameter.name)
            for parameter in command.params
            if not getattr(parameter, "is_flag", False)
            and parameter.name not in {"api", "key", "profile"}
        ]
        for words, command in sorted(build_command_tree().items())
        if words and not is_group(command) and words[0] not in {"service-account", "network"}
    }
    return {command: parameters for command, parameters in found.items() if parameters}


VALUES = _list_parameters()


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


@pytest.fixture
async def cli(scenario: Scenario) -> AsyncIterator[CommandLine]:
    async with serve_app() as served:
        yield served


def _build_words(command: str, empty: str, scenario: Scenario) -> list[str]:
    """Return the words of a command with this parameter empty and the other required ones valid."""
    examples = {**EXAMPLES, "remediation": scenario.remediation.id}
    found: list[str] = command.split()
    parameters: list[Any] = build_command_tree()[tuple(found)].params
    for parameter in parameters:
        is_needed = parameter.required and parameter.name not in {"api", "key"}
        if parameter.name != empty and not is_needed:
            continue
        value = "" if parameter.name == empty else examples[parameter.name]
        is_option = parameter.param_type_name == "option"
        found += [parameter.opts[0], value] if is_option else [value]
    return found


def _read_etags(scenario: Scenario) -> dict[Any, Any]:
    """Return the ETags of all rows except the audit log, which also records rejected requests."""
    rows = scenario.fakes.store.rows.items()
    return {name: row.etag for name, row in rows if row.table != "auditlog"}


@pytest.mark.parametrize("command", VALUES)
async def test_empty_value_is_rejected_without_a_request(
    command: str,
    scenario: Scenario,
    cli: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    for parameter in VALUES[command]:
        before = _read_etags(scenario)
        result = await cli.run(*_build_words(command, parameter, scenario), answer="y\n")

        where = (parameter, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), where
        if (command, parameter) not in MAY_BE_EMPTY:
            assert result.exit_code != 0, where
            assert result.stderr.strip(), where
            assert _read_etags(scenario) == before, where


@pytest.mark.parametrize("command", ["plan show REMEDIATION", "assess show --all"])
async def test_error_names_a_page_that_cannot_be_written(
    command: str, scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    words = command.replace("REMEDIATION", scenario.remediation.id).split()

    async with deliver_messages(scenario.driver):
        result = await cli.run(*words, "--html", str(tmp_path / "none" / "page.html"))

    assert result.exit_code == 2
    assert "page.html: No such file or directory." in result.stderr


@pytest.mark.parametrize("identity", ["..", ".", "a/b", "%2e%2e", "a?b", "a b", "x" * 81])
async def test_text_that_is_no_id_is_not_part_of_an_address(
    identity: str, scenario: Scenario, cli: CommandLine
) -> None:
    result = await cli.run("remediation", "show", identity)

    assert result.exit_code == 3
    assert f"No remediation matches {identity!r}." in result.stderr
    assert "cmkflow remediation list" in result.stderr


async def test_empty_id_is_rejected(scenario: Scenario, cli: CommandLine) -> None:
    """An empty id would change the address to that of the list."""
    result = await cli.run("remediation", "show", "")

    assert result.exit_code == 2
    assert "'' is not a valid id" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example",
        "http://10.0.0.4:7071",
        "http://localhost.example",
        "http://[::2]:80/api",
    ],
)
async def test_key_is_not_sent_over_http_to_another_machine(url: str) -> None:
    result = await CommandLine(url=url).run("health")

    assert result.exit_code == 2
    assert "The key or token would be sent to" in result.stderr
    assert "https://" in result.stderr


@pytest.mark.parametrize("url", ["http://[", "ftp://app.example", "app.example", ""])
async def test_invalid_address_is_rejected(url: str) -> None:
    result = await CommandLine(url=url).run("health")

    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_http_is_accepted_for_this_machine(host: str) -> None:
    """The local host accepts only HTTP."""
    result = await CommandLine(url=f"http://{host}:9").run("health")

    assert "Cannot connect to" in result.stderr


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://127.0.0.1:9", "canary\nlines"),
        ("http://127.0.0.1:9", "canary-☃"),
        ("https://two..dots", "canary"),
        ("https://" + "x" * 80 + ".example", "canary"),
    ],
)
async def test_key_with_invalid_characters_is_rejected(url: str, key: str) -> None:
    result = await CommandLine(url=url, key=key).run("health")

    assert result.exit_code == 2
    assert "contains characters that are not allowed" in result.stderr
    assert "canary" not in result.stderr
