"""Test output formats, queries and exit codes for scripts."""

import csv
import io
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from cmkflow import api_client
from cmkflow.__main__ import app
from cmkflow.output import OutputFormat, format_for_programs
from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    for title in ("Orders", "Returns"):
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


async def test_query_selects_values(scenario: Scenario, cli: CommandLine) -> None:
    query = ("--query", "items[].remediation.id")

    as_json = await cli.run("remediation", "list", *query)
    as_tsv = await cli.run("remediation", "list", *query, "-o", "tsv")

    assert json.loads(as_json.stdout) == [scenario.remediation.id]
    assert as_tsv.stdout == f"{scenario.remediation.id}\n"


async def test_csv_output_has_a_header(scenario: Scenario, cli: CommandLine) -> None:
    result = await cli.run("environment", "list", "--output", "csv")

    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["id"] == scenario.build.environment.id
    assert json.loads(row["settings"])["approval_policy"] == "required"


async def test_csv_output_contains_no_formula(scenario: Scenario, cli: CommandLine) -> None:
    """A spreadsheet program would run a name that begins with `=` as a formula."""
    scenario.build.environment.display_name = "=HYPERLINK(A1)"
    query = ("--query", "items[].[display_name, settings.max_flows, `-1`]")

    rows = await cli.run("environment", "list", "-o", "csv")
    lists = await cli.run("environment", "list", *query, "-o", "csv")
    tabs = await cli.run("environment", "list", *query, "-o", "tsv")

    (row,) = csv.DictReader(io.StringIO(rows.stdout))
    assert row["display_name"] == "'=HYPERLINK(A1)"
    assert lists.stdout == "'=HYPERLINK(A1),100,-1\n"
    assert tabs.stdout == "=HYPERLINK(A1)\t100\t-1\n"


async def test_invalid_query_is_a_usage_error(scenario: Scenario, cli: CommandLine) -> None:
    result = await cli.run("remediation", "list", "--query", "items[?")

    assert result.exit_code == 2
    assert "invalid JMESPath" in result.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("remediation", "show", NOWHERE), 3),
        (("remediation", "show", ""), 2),
        (("remediation", "nothing"), 2),
        (("approve", "ID", "--version", "0" * 16), 4),
        (("remediation", "list"), 0),
    ],
)
async def test_exit_codes_differ_by_outcome(
    scenario: Scenario, cli: CommandLine, words: tuple[str, ...], code: int
) -> None:
    await scenario.run(timedelta(minutes=1))
    provide(scenario.services)

    result = await cli.run(*(scenario.remediation.id if one == "ID" else one for one in words))

    assert result.exit_code == code, result.output


def test_exit_code_is_5_if_the_app_does_not_answer() -> None:
    """Exit code 5 means that a later try may succeed."""
    env = {"CMKFLOW_API": "http://127.0.0.1:9", "CMKFLOW_KEY": "key"}

    result = CliRunner().invoke(app, ["health"], env=env)

    assert result.exit_code == 5
    assert "Cannot connect to" in result.stderr


def test_command_reports_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert said.wait(30)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"items": []}')

        def log_message(self, *_: object) -> None: ...

    heard: list[str] = []

    def record_text(text: str, *, err: bool) -> None:
        assert err
        heard.append(text)
        said.set()

    monkeypatch.setattr(api_client, "_SILENCE", 0.01)
    monkeypatch.setattr(api_client, "echo", record_text)
    with HTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        api = api_client.ApiClient(url=f"http://127.0.0.1:{server.server_port}", key="key")
        answer = api.send(api_client.ApiCall(method="GET", path=("environments",)))
        thread.join()

    assert answer == {"items": []}
    assert "has not answered for" in heard[0]


def test_tabs_in_values_are_replaced_in_tsv() -> None:
    """A tab in a value would start another field."""
    rows = [{"name": "a\tb\nc", "count": 2, "none": None}, {"name": "d", "count": 0, "none": None}]

    assert format_for_programs(rows, OutputFormat.TSV).split("\n") == ["a b c\t2\t", "d\t0\t"]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_short_help_option_is_accepted(option: str) -> None:
    for words in ([], ["remediation"], ["remediation", "start"]):
        result = CliRunner().invoke(app, [*words, option])
        assert result.exit_code == 0
        assert "Usage" in result.stdout


def test_version_option_prints_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout.split()[0]) == (0, "cmkflow")
