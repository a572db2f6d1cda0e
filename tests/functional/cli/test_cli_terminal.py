import asyncio
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.use_cases import change_remediation
from tests.functional.cli.cli_app import CommandLine
from tests.functional.cli.terminal import run_in_terminal
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.firewalls.network_security_group import build_security_group

LONG = "Returns of the northern region and of all the islands that lie before its coast"
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38)[;m]")
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    flows = [scenario.build.add_http_flow(title) for title in ("Invoices", LONG, "Orders")]
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(cause="change-4711")
    await scenario.approve(run=timedelta(0))
    scenario.mode = ApprovalPolicy.READ_ONLY
    await scenario.opt_in()
    await scenario.run(timedelta(hours=1))
    scenario.mode = ApprovalPolicy.REQUIRED
    await scenario.opt_in()
    goes_on = tuple(one.workflow_id for one in flows[:2])
    await change_remediation.retry(scenario.services, scenario.remediation.id, goes_on)
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)
    return scenario


async def test_list_prints_how_to_show_its_next_page(scenario: Scenario, cli: CommandLine) -> None:
    identity = scenario.remediation.id
    await scenario.order(cause="change-4712")
    provide(scenario.services)

    first = await run_in_terminal(cli, "remediation", "list", "--limit", "1")
    after = STYLE.sub("", first.lines[-1]).removeprefix("More: add --after ")
    rest = await run_in_terminal(cli, "remediation", "list", "--after", after)
    piped = await cli.run("remediation", "list", "--limit", "1")

    assert identity[:8] not in first.text
    assert identity[:8] in rest.text
    assert "More: add" not in rest.text + piped.stdout


@pytest.mark.parametrize("columns", [80, 160])
async def test_output_fits_the_terminal(scenario: Scenario, cli: CommandLine, columns: int) -> None:
    identity, environment = scenario.remediation.id, scenario.build.environment
    commands = [
        ("status",),
        ("health",),
        ("remediation", "list"),
        ("remediation", "show", identity[:8]),
        ("plan", "show", identity[:8]),
        ("deletion", "list", identity[:8]),
        ("environment", "list"),
        ("flow", "list", environment.id[:8]),
        ("kill-switch", "show"),
    ]

    screens = {one: await run_in_terminal(cli, *one, columns=columns) for one in commands}

    assert {one: screen.exit_code for one, screen in screens.items() if screen.exit_code} == {}
    for screen in screens.values():
        lines = [STYLE.sub("", line) for line in screen.lines]
        assert [line for line in lines if len(line) > columns] == []
    assert identity[:8] in screens["remediation", "list"].text
    assert all(
        flow[:8] in screens["flow", "list", environment.id[:8]].text for flow in environment.flows
    )


@pytest.mark.parametrize("columns", [80, 160])
async def test_remediation_show_states_problems_first_with_their_next_commands(
    scenario: Scenario, cli: CommandLine, columns: int
) -> None:
    words = ("remediation", "show", scenario.remediation.id)

    short = await run_in_terminal(cli, *words, columns=columns)
    full = await run_in_terminal(cli, *words, "--full", columns=columns)

    lines = [STYLE.sub("", line) for line in short.lines]
    first = lines.index("Blocked: environment_read_only (1)")
    entry = lines[first : lines.index("", first) if "" in lines[first:] else -1]
    assert entry[1].startswith("  Orders: ")
    assert entry[-2].startswith("  ")
    assert f"  Then   cmkflow retry {scenario.remediation.id[:8]} --code environment_read_only" in (
        lines
    )
    assert lines[-1] == f"See    cmkflow remediation show {scenario.remediation.id[:8]} --full"
    assert LONG not in short.text
    lines = [STYLE.sub("", line) for line in full.lines]
    first = next(n for n, line in enumerate(lines) if line.startswith("Environment / flow"))
    names = [
        line.split("  ")[0] for line in lines[first + 1 :] if re.search(r"  [0-9a-f]{8} ", line)
    ]
    assert names[:2] == ["Orders", scenario.build.environment.display_name]
    assert set(names[2:]) == {"Invoices", LONG}


async def test_pipe_output_has_one_line_per_row_and_whole_ids(
    scenario: Scenario, cli: CommandLine
) -> None:
    shown = await cli.run("remediation", "show", scenario.remediation.id, "--full")
    listed = await cli.run("remediation", "list")

    rows = [line.split("\t") for line in shown.stdout.splitlines() if line.count("\t") == 6]
    assert rows[0] == ["Environment / flow", "Id", "State", "Step", "Next", "Owner", "Note"]
    job = (await scenario.read_jobs())[LONG]
    assert [LONG, job.original.id, "waiting", "checking_for_calls"] in [row[:4] for row in rows]
    assert listed.stdout.splitlines()[1].split("\t")[0] == scenario.remediation.id
    assert "\x1b" not in shown.stdout + listed.stdout


async def test_no_color_removes_colours(scenario: Scenario, cli: CommandLine) -> None:
    """Bold text stays bold (https://no-color.org)."""
    words = ("remediation", "show", scenario.remediation.id)

    coloured = await run_in_terminal(cli, *words)
    plain = await run_in_terminal(cli, *words, NO_COLOR="1")

    assert COLOUR.search(coloured.text)
    assert not COLOUR.search(plain.text)
    assert [STYLE.sub("", one) for one in plain.lines] == [
        STYLE.sub("", one) for one in coloured.lines
    ]


async def test_output_longer_than_the_terminal_uses_the_pager(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\nsed 's/^/|/'\n")
    pager.chmod(0o755)
    words = ("plan", "show", scenario.remediation.id)

    low = await run_in_terminal(cli, *words, rows=10, PAGER=str(pager))
    high = await run_in_terminal(cli, *words, rows=200, PAGER=str(pager))
    told = await run_in_terminal(cli, *words, "--no-pager", rows=10, PAGER=str(pager))
    program = await run_in_terminal(cli, *words, "-o", "json", rows=10, PAGER=str(pager))
    missing = await run_in_terminal(cli, *words, rows=10, PAGER=str(tmp_path / "none"))

    assert low.text.startswith("|"), low.text
    assert [line.removeprefix("|") for line in low.lines] == high.lines == told.lines
    assert missing.lines == high.lines
    assert not any(one.text.startswith("|") for one in (high, told, program))


@pytest.mark.parametrize("command", ["inspect", "network check", "network diff"])
async def test_offline_commands_use_the_pager(
    cli: CommandLine, tmp_path: Path, command: str
) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\nsed 's/^/|/'\n")
    pager.chmod(0o755)
    old, new = (
        write_service_tags(tmp_path, name, octet) for name, octet in (("old", 1), ("new", 2))
    )
    (tmp_path / "rules").mkdir()
    (tmp_path / "flows").mkdir()
    for number in range(20):
        flow = {"triggers": {"manual": {"type": "Request", "kind": "Http"}}, "actions": {}}
        (tmp_path / "flows" / f"{number}.json").write_text(json.dumps({"definition": flow}))
        group = {**build_security_group(), "id": f"{build_security_group()['id']}{number}"}
        (tmp_path / "rules" / f"{number}.json").write_text(json.dumps(group))
    words = {
        "inspect": ("inspect", str(tmp_path / "flows")),
        "network check": (
            *("network", "check", "--service-tags", str(new)),
            *("--firewalls", str(tmp_path / "rules")),
        ),
        "network diff": ("network", "diff", "--from", str(old), "--to", str(new)),
    }[command]

    low = await run_in_terminal(cli, *words, rows=5, PAGER=str(pager))
    told = await run_in_terminal(cli, *words, "--no-pager", rows=5, PAGER=str(pager))

    assert low.text.startswith("|"), low.text
    assert [line.removeprefix("|") for line in low.lines] == told.lines


def write_service_tags(folder: Path, name: str, octet: int) -> Path:
    tags = [
        {
            "name": f"PowerPlatformPlex{region and '.'}{region}",
            "properties": {
                "region": region.lower(),
                "changeNumber": octet,
                "systemService": "",
                "addressPrefixes": [f"20.{octet}.0.0/24"],
            },
        }
        for region in ("", "WestEurope", "NorthEurope")
    ]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"changeNumber": octet, "cloud": "Public", "values": tags}))
    return file


async def watch_in_a_pipe(
    scenario: Scenario, cli: CommandLine, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, list[list[str]]]:
    """Run `cmkflow watch` in a pipe, while ten days pass between two reads. Return its exit code
    and the fields of each line.
    """
    loop = asyncio.get_running_loop()

    async def pass_time() -> None:
        await scenario.run(timedelta(days=10))
        provide(scenario.services)

    def sleep(_: float) -> None:
        asyncio.run_coroutine_threadsafe(pass_time(), loop).result(60)

    monkeypatch.setattr(time, "sleep", sleep)
    result = await cli.run("watch", *words)
    return result.exit_code, [line.split("\t") for line in result.stdout.splitlines()]


async def test_watch_in_a_pipe_prints_each_change_and_exits_with_4(
    scenario: Scenario, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 4 because a flow requires an action."""
    code, lines = await watch_in_a_pipe(scenario, cli, monkeypatch, scenario.remediation.id)

    of_flow = [what for _, name, what in lines if name.endswith(f" {LONG}")]
    assert code == 4
    assert of_flow[0].startswith("waiting")
    assert of_flow[-1].startswith("retired")
    assert [what.split(":")[0] for _, name, what in lines if name.endswith(" Orders")] == [
        "blocked (environment_read_only)"
    ]
    assert len(lines) == len({(name, what) for _, name, what in lines})


async def test_watch_of_a_completed_remediation_exits_with_0(
    scenario: Scenario, cli: CommandLine
) -> None:
    await cli.run("rollback", scenario.remediation.id, "--yes")
    await scenario.run(timedelta(days=30))
    provide(scenario.services)

    screen = await run_in_terminal(cli, "watch", scenario.remediation.id)

    assert screen.exit_code == 0, screen.text
    assert "rolled_back" in screen.text


async def test_interrupted_watch_exits_with_130(scenario: Scenario, cli: CommandLine) -> None:
    screen = await run_in_terminal(cli, "watch", interrupt_at="Ctrl-C to stop")

    assert screen.exit_code == 130
    assert STYLE.sub("", screen.lines[-1]) == "Stopped watching. The app continues its work."
    assert "Traceback" not in screen.text


async def test_an_interrupted_question_changes_nothing_and_prints_one_line(
    scenario: Scenario, cli: CommandLine
) -> None:
    words = ("remediation", "cancel", scenario.remediation.id)

    screen = await run_in_terminal(cli, *words, interrupt_at="[y/N]")

    assert screen.exit_code == 130
    assert screen.lines[-1] == "Interrupted. Nothing was changed."
    assert "Traceback" not in screen.text
