import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from shared.bootstrap import provide
from tests.functional.cli.api_scenario import pass_time
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario, edit


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.add_http_flow("<b>Invoices</b>")
    scenario.build.apply_key()
    await scenario.opt_in()
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    provide(scenario.services)
    return scenario


async def read_version(scenario: Scenario, cli: CommandLine) -> str:
    shown = await cli.run("plan", "show", scenario.remediation.id, "-o", "json")
    (plan,) = json.loads(shown.stdout)["items"]
    return str(plan["version"])


async def test_plan_show_prints_version_totals_and_flows(
    scenario: Scenario, cli: CommandLine
) -> None:
    shown = await cli.run("plan", "show", scenario.remediation.id)

    full = await cli.run("plan", "show", scenario.remediation.id, "--full")
    one = await cli.run("plan", "show", scenario.remediation.id, "--flow", "Orders")

    lines = [line.strip() for line in shown.stdout.splitlines()]
    assert re.fullmatch(r"Plan: Contoso · #[0-9a-f]{8} +Awaiting approval", lines[0])
    assert lines[1] == "2 flows"
    assert f"version {await read_version(scenario, cli)}" in lines[2]
    assert "Orders\tCopy\t1" in shown.stdout
    assert "make the service account co-owner" not in shown.stdout
    assert f"cmkflow approve {scenario.remediation.id[:8]}" in shown.stderr
    assert f"cmkflow plan show {scenario.remediation.id[:8]} --full" in shown.stderr
    assert "Orders  copy  awaits approval" in full.stdout
    assert "make the service account co-owner of Orders" in full.stdout
    assert "Caller: setting" in full.stdout
    assert "Unknown: Whether a data policy would prevent" in full.stdout
    assert "make the service account co-owner of Orders" in one.stdout
    assert "Invoices" not in one.stdout


async def test_approve_shows_the_plan_and_asks(scenario: Scenario, cli: CommandLine) -> None:
    refused = await cli.run("approve", scenario.remediation.id, answer="n\n")
    before = (await scenario.read_environment_job()).approved_version
    approved = await cli.run("approve", scenario.remediation.id, "-o", "json", answer="y\n")

    job = await scenario.read_environment_job()
    assert refused.exit_code == 1
    assert before == ""
    answer = json.loads(approved.stdout.splitlines()[-1])
    assert answer == {"flow_count": 1, "flow_names": ["Contoso"], "kill_switch_on": False}
    assert f"version {job.approved_version}" in approved.stderr
    assert approved.stderr.count("Orders\t") == 1
    assert "Approve 2 flows?" in approved.stderr


async def test_approve_accepts_a_version_or_yes(scenario: Scenario, cli: CommandLine) -> None:
    stale = await cli.run("approve", scenario.remediation.id, "--version", "0" * 16)
    version = await read_version(scenario, cli)
    taken = await cli.run("approve", scenario.remediation.id, "--yes")

    assert stale.exit_code == 4
    assert "Read the plan again" in stale.stderr
    assert taken.stdout == "1 plan is approved.\n"
    assert version in taken.stderr


async def test_approve_excludes_flows(scenario: Scenario, cli: CommandLine) -> None:
    version = await read_version(scenario, cli)
    flow = (await scenario.plan())["Orders"].workflow_id

    await cli.run(
        "approve", scenario.remediation.id, "--version", version, "--except", flow
    )  # fmt: skip
    await pass_time(scenario, timedelta(hours=1))

    assert set(await scenario.read_jobs()) == {"<b>Invoices</b>"}


async def test_approval_question_counts_only_included_flows(cli: CommandLine) -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_parent("Nightly", orders)
    scenario.build.add_http_flow("Invoices")
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    words = ("approve", scenario.remediation.id, "--except", "Orders")

    asked = await cli.run(*words, answer="y\n")
    await pass_time(scenario, timedelta(hours=1))

    assert "Approve 1 flow?" in asked.stderr
    left = next(one for one in asked.stderr.splitlines() if "Excluded from the approval" in one)
    assert "Orders" in left
    assert "Nightly" in left
    assert set(await scenario.read_jobs()) == {"Invoices"}


async def test_flow_changed_after_the_approval_is_shown_first(
    scenario: Scenario, cli: CommandLine
) -> None:
    await cli.run("approve", scenario.remediation.id, "--yes")
    edit(next(flow for flow in scenario.world.list_flows() if flow.name == "Orders"))
    await pass_time(scenario, timedelta(hours=1))

    shown = await cli.run("plan", "show", scenario.remediation.id)
    full = await cli.run("plan", "show", scenario.remediation.id, "--full")
    again = await cli.run("approve", scenario.remediation.id, answer="y\n")
    await pass_time(scenario, timedelta(days=30))
    nothing = await cli.run("approve", scenario.remediation.id)

    assert "Orders\tCopy\t1\tchanged since the approval" in shown.stdout
    assert shown.stdout.index("Orders\t") < shown.stdout.index("Invoices</b>\t")
    assert "Changed since the approval: its definition was edited" in full.stdout
    assert "Approve 1 flow?" in again.stderr
    assert len(await scenario.read_jobs()) == 2
    assert nothing.exit_code == 1
    show = f"cmkflow remediation show {scenario.remediation.id}"
    assert f"No plan awaits approval. See: {show}" in nothing.stderr


async def test_plan_show_writes_a_page(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "plan.html"
    written = await cli.run("plan", "show", scenario.remediation.id, "--html", str(file))
    shown = json.loads(
        (await cli.run("plan", "show", scenario.remediation.id, "-o", "json")).stdout
    )

    page = file.read_text()
    assert (written.exit_code, written.stdout) == (0, "")
    assert "&lt;b&gt;Invoices&lt;/b&gt;" in page
    assert "<b>Invoices" not in page
    assert not any(word in page for word in ("http://", "https://", "<script", "src=", "sig="))
    (plan,) = shown["items"]
    assert f"--version {plan['version']}" in page
    item = next(item for item in plan["items"] if item["display_name"] == "Orders")
    assert item["unknowns"]
    assert all(text in unescape(page) for text in [*item["planned_changes"], *item["unknowns"]])


async def test_trigger_hosts_of_copies_are_listed(scenario: Scenario, cli: CommandLine) -> None:
    identity = scenario.remediation.id
    planned = await cli.run("plan", "show", identity, "--full")
    before = await cli.run("network", "trigger-hosts", identity)
    await cli.run("approve", identity, "--yes")
    await pass_time(scenario, timedelta(hours=1))
    after = await cli.run("network", "trigger-hosts", identity)
    answer = json.loads((await cli.run("network", "trigger-hosts", identity, "-o", "json")).stdout)

    [plan] = answer["items"]
    [trigger_host] = plan["trigger_hosts"]
    host = trigger_host["host"]
    assert host.endswith(".environment.api.powerplatform.com")
    assert trigger_host["is_confirmed"]
    assert f"Callers of 2 flows must reach {host}:443 (expected" in " ".join(planned.stdout.split())
    assert f"https://{host}:443" in before.stdout
    assert "not yet confirmed by a copy" in before.stdout
    assert "not yet confirmed by a copy" not in after.stdout
    assert "setting" in after.stdout
    assert "sig=" not in after.stdout
