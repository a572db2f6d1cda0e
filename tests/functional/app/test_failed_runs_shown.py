from dataclasses import replace
from html import unescape

import pytest

from functions import dashboard_api, environments_api, failed_runs_api, failed_runs_page_api
from shared.bootstrap import provide
from tests.functional.cli.cli_app import serve_app
from tests.functional.engine.test_failed_runs import (
    CANARY,
    add_flow,
    build_scenario,
    report_failed_runs_of_day,
)
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ADA = build_sign_in_header("ada@contoso.example") | {"Accept": "text/html"}


@pytest.fixture
async def scenario() -> Scenario:
    scenario = await build_scenario(report_failed_runs=True)
    add_flow(scenario, "Orders", 8, 9)
    await report_failed_runs_of_day(scenario)
    provide(scenario.services)
    return scenario


async def test_report_is_shown_without_contents(scenario: Scenario) -> None:
    identity = scenario.build.environment.id
    shown = await call(failed_runs_api.show_failed_runs, id=identity)
    page = await call(failed_runs_page_api.show_failed_runs_page, headers=ADA)
    async with serve_app() as cli:
        listed = await cli.run("environment", "failed-runs", identity)

    (flow,) = shown.document["flows"]
    assert (flow["display_name"], flow["failed_count"]) == ("Orders", 2)
    assert flow["error_codes"] == ["ActionFailed"]
    assert "1 flow failed" in page.text
    assert f'id="{identity}"' in page.text
    for text in (page.text, listed.stdout):
        assert flow["runs_url"] in text
        assert "ActionFailed" in text
    assert CANARY not in shown.text + page.text + listed.stdout


async def test_incomplete_report_without_failures_does_not_say_that_no_run_failed(
    scenario: Scenario,
) -> None:
    """Runs of flows that the app did not read may have failed."""
    identity, table = scenario.build.environment.id, scenario.services.tables.failed_run_reports
    kept = await table.get("failed_runs", identity)
    assert kept
    await table.replace(kept, replace(kept.item, flows=(), unread_flows=("Orders",)))

    page = await call(failed_runs_page_api.show_failed_runs_page, headers=ADA)
    async with serve_app() as cli:
        listed = await cli.run("environment", "failed-runs", identity)

    for text in (page.text, listed.stdout):
        assert "No failed run was found." in text
        assert "No run failed" not in text


async def test_missing_report_says_how_to_turn_reports_on() -> None:
    scenario = await build_scenario()
    provide(scenario.services)

    shown = await call(failed_runs_api.show_failed_runs, id=scenario.build.environment.id)
    page = await call(failed_runs_page_api.show_failed_runs_page, headers=ADA)

    assert shown.status == 404
    assert "--report-failed-runs" in shown.text
    assert "No report of failed runs yet" in page.text


async def test_command_turns_reports_on_and_the_page_links_to_the_report() -> None:
    scenario = await build_scenario()
    provide(scenario.services)
    identity = scenario.build.environment.id
    before = unescape((await call(dashboard_api.show_environments_page, headers=ADA)).text)
    async with serve_app() as cli:
        done = await cli.run("environment", "set", identity, "--report-failed-runs")
    shown = await call(environments_api.show_environment, id=identity)
    after = unescape((await call(dashboard_api.show_environments_page, headers=ADA)).text)

    assert "Report failed runs" in before
    assert "The app reads no inputs or outputs." in before
    assert done.exit_code == 0, done.output
    assert shown.document["settings"]["report_failed_runs"] is True
    assert "reported daily" in after
    assert f"/api/dashboard/failed-runs#{identity}" in after
