import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app
from cmkflow.api_client import ExitCode
from shared.bootstrap import provide
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.functional.cli.cli_app import serve_app
from tests.functional.cli.terminal import run_in_terminal
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.firewall_scenario import build_erp_firewall
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule

WEST = "PowerPlatformPlex.WestEurope"


def write_list(path: Path, number: int, prefixes: Mapping[str, Sequence[str]]) -> str:
    """Write a service tag list with a byte order mark. Return its path."""
    values = [
        {"name": name, "properties": {"addressPrefixes": listed}}
        for name, listed in prefixes.items()
    ]
    document = {"changeNumber": number, "cloud": "Public", "values": values}
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    return str(path)


@pytest.fixture
def list_options(tmp_path: Path) -> tuple[str, ...]:
    before = write_list(tmp_path / "370.json", 370, {WEST: ["10.0.0.0/24", "10.1.0.0/24"]})
    after = write_list(tmp_path / "371.json", 371, {WEST: ["10.0.0.0/24", "10.2.0.0/24"]})
    return "--from", before, "--to", after


def run_diff(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["network", "diff", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_diff_lists_changes_by_region(list_options: tuple[str, ...]) -> None:
    _, lines, _ = run_diff(*list_options, "--tag", "PowerPlatformPlex", "-o", "json")
    _, shown, totals = run_diff(*list_options)

    assert json.loads(lines)["items"] == [
        {
            "tag": "PowerPlatformPlex",
            "region": "WestEurope",
            "added": ["10.2.0.0/24"],
            "removed": ["10.1.0.0/24"],
        }
    ]
    assert "from list 370 to list 371: 1 added, 1 removed" in totals
    assert "10.2.0.0/24" in shown


def test_diff_of_equal_lists_is_empty(list_options: tuple[str, ...]) -> None:
    _, before, _, _ = list_options
    same = ("--from", before, "--to", before)

    code, rows, totals = run_diff(*same, "-o", "json")

    assert (code, json.loads(rows)) == (0, {"items": []})
    assert "nothing changed" in totals
    assert run_diff(*same)[1].strip() == ""


def test_diff_of_an_invalid_list_names_the_file_or_tag(
    list_options: tuple[str, ...], tmp_path: Path
) -> None:
    _, before, _, after = list_options
    other = tmp_path / "other.json"

    for content in ("{", "{}", "[" * 100_000):
        other.write_text(content)
        code, output, error = run_diff("--from", before, "--to", str(other))
        assert (code, output, error.startswith(str(other))) == (1, "", True)
    code, _, error = run_diff("--from", before, "--to", str(tmp_path / "gone.json"))
    assert (code, "gone.json" in error) == (1, True)
    code, _, error = run_diff(
        "--from", before, "--to", write_list(other, 372, {WEST: ["10.0.0.0/33"]})
    )
    assert (code, WEST in error) == (1, True)
    code, _, error = run_diff("--from", before, "--to", after, "--tag", "PowerPlatformFlex")
    assert (code, "PowerPlatformFlex" in error) == (1, True)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_diff_lists_all_prefixes_of_a_new_tag_as_added(
    tmp_path: Path,
) -> None:
    folder = Path(os.environ["FLOW_CORPUS"], "servicetags")
    [older] = folder.glob("arm_api_*.json")
    [newer] = folder.glob("ServiceTags_Public_*.json")
    document = json.loads(newer.read_bytes())
    published = {one["name"]: one["properties"]["addressPrefixes"] for one in document["values"]}

    _, output, _ = run_diff("--from", str(older), "--to", str(newer), "-o", "json")
    added = {one["region"]: one["added"] for one in json.loads(output)["items"]}

    assert added.pop("") == ["2603:1061:2004::/48"]  # wider than all of its regions
    assert {f"PowerPlatformPlex.{region}": listed for region, listed in added.items()} == {
        name: listed for name, listed in published.items() if name.startswith("PowerPlatformPlex.")
    }


async def test_tag_changes_shows_changes_and_affected_firewalls() -> None:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.world.service_tags = {WEST: ["10.0.0.0/24"]}
    scenario.world.firewalls = [build_erp_firewall("10.0.0.0/24")]
    scenario.build.apply_key()
    await scenario.run_remediation()
    provide(scenario.services)
    async with serve_app() as cli:
        none = await cli.run("network", "tag-changes")
        await run_daily_check(scenario.services, "first")
        first = await cli.run("network", "tag-changes")
        scenario.world.service_tags[WEST] = ["10.0.0.0/24", "10.2.0.0/24"]
        scenario.world.service_tags_edition += 1
        scenario.world.clock.advance(timedelta(days=1))
        shown = await cli.run("network", "tag-changes", "--refresh")
        again = await cli.run("network", "tag-changes")

    assert "has not read a service tag list yet" in none.stdout
    assert again.stdout == shown.stdout
    assert "List 371" in first.stdout
    assert "PowerPlatformPlex" not in first.stdout
    for said in ("List 372", "(open)", WEST, "10.2.0.0/24", "! erp", scenario.remediation.id):
        assert said in shown.stdout


async def build_guarded_scenario() -> Scenario:
    scenario = Scenario(has_azure_firewalls=True)
    scenario.world.service_tags = {WEST: ["10.0.0.0/24"], "LogicApps.WestEurope": ["10.9.0.0/24"]}
    rule = build_security_rule("flows", 100, sourceAddressPrefix="LogicApps.WestEurope")
    group = build_security_group(rule, tags={"cmkflow-hosts": "erp.contoso.example"})
    scenario.world.resources[group["id"].lower()] = group
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.build.apply_key()
    await scenario.opt_in()
    return scenario


async def test_network_fix_prints_the_change_in_the_requested_language() -> None:
    scenario = await build_guarded_scenario()
    provide(scenario.services)
    async with serve_app() as cli:
        commands = await cli.run("network", "fix")
        bicep = await cli.run("network", "fix", "edge", "--language", "bicep")
        told = await cli.run("network", "fix", "-o", "json")
        unknown = await cli.run("network", "fix", "egde")
        narrow = await run_in_terminal(cli, "network", "fix", columns=30)

    assert (
        f"# allow {WEST} on edge, each with a rule\naz network nsg rule create" in commands.stdout
    )
    assert "  --priority 4096 \\\n" in commands.stdout
    assert "resource edge 'Microsoft.Network/networkSecurityGroups@" in bicep.stdout
    [item] = json.loads(told.stdout)["items"]
    assert (item["firewall"], item["is_applicable"], item["unavailable_reason"]) == (
        "edge",
        True,
        "",
    )
    assert unknown.exit_code == ExitCode.ACTION_REQUIRED
    assert "egde has no firewall issue" in unknown.stderr
    # A line that was broken would be a command of its own.
    assert narrow.lines == commands.stdout.splitlines()


async def test_network_fix_is_applied_after_a_question_and_reverted() -> None:
    scenario = await build_guarded_scenario()
    provide(scenario.services)
    async with serve_app() as cli:
        refused = await cli.run("network", "fix", "edge", "--apply", answer="n\n")
        untouched = "cmk-" not in json.dumps([*scenario.world.resources.values()])
        made = await cli.run("network", "fix", "edge", "--apply", answer="y\n")
        after = await cli.run("network", "fix")
        undone = await cli.run("network", "fix", "edge", "--revert", "--yes")
        shown = json.loads((await cli.run("network", "fix", "-o", "json")).stdout)

    assert refused.exit_code == 1
    assert "az network nsg rule create" in refused.stderr
    assert untouched
    assert "edge" in made.stdout
    assert "applied" in made.stdout
    assert "admin@contoso.example" in made.stdout
    assert "No firewall issue affects flows." in after.stdout
    assert "reverted" in undone.stdout
    assert [one["state"] for one in shown["applied"]] == ["reverted"]
    assert len(shown["items"]) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("edge", "--apply", "--revert"), "Use --apply or --revert, not both."),
        (("--apply",), "Name the resource to change."),
    ],
)
async def test_network_fix_rejects_ambiguous_options(options: tuple[str, ...], said: str) -> None:
    async with serve_app() as cli:
        result = await cli.run("network", "fix", *options)

    assert result.exit_code == 1
    assert said in result.stderr
