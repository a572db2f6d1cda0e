import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from functions import (
    remediation_actions_api,
)
from shared.bootstrap import provide
from shared.reason import Reason
from shared.use_cases.archive_runs import archive_runs
from tests.functional.app.evidence_scenario import (
    build_evidence_scenario,
    export_evidence,
    extract_files,
    parse_lines,
    retire_originals,
)
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    return await build_evidence_scenario()


async def test_tables_and_report_show_each_flow(scenario: Scenario) -> None:
    await retire_originals(scenario)

    found = extract_files(await export_evidence(scenario))

    rows = list(csv.DictReader(io.StringIO(found["flows.csv"])))
    assert {row["display_name"] for row in rows} == {"Orders", "'=Invoices"}
    changes = list(csv.DictReader(io.StringIO(found["changes.csv"])))
    total = sum(len(line["changes"]) for line in parse_lines(found["flows.jsonl"]))
    assert len(changes) == total
    assert "Approved version" in found["report.html"]
    for foreign in ("<script", "http://", "https://", "src=", "<link"):
        assert foreign not in found["report.html"]


async def test_report_lists_excluded_flows_with_the_reason(
    scenario: Scenario,
) -> None:
    await scenario.order()
    excluded = (await scenario.plan())["Orders"].workflow_id
    await scenario.approve(excluded)

    page = extract_files(await export_evidence(scenario))["report.html"]

    assert "1 of 2 flows migrated, 1 not migrated." in page
    assert "migrated or prepared" not in page
    assert "This report is a record. It asks for nothing." in page
    assert "1 flow excluded from the approval" in page
    assert re.search(r"Approved version \w+ for Contoso, excluding 1 flow<", page)
    results = re.findall(r'<caption class="vh">([^<]+)</caption>.*?</table>', page, re.DOTALL)
    assert results[-2:] == ["Migrated", "Excluded from the approval"]
    assert '<th scope="row">=Invoices<td>' in page
    assert '<th scope="row">Orders<td>no copy<td><td>not turned on or off' in page


async def test_report_of_two_thousand_flows_is_one_small_file_with_folded_tables(
    scenario: Scenario,
) -> None:
    await scenario.order()
    few = extract_files(await export_evidence(scenario))["report.html"]
    table = scenario.services.tables.plan_items
    item = (await scenario.plan())["Orders"]
    for number in range(2_000):
        workflow_id = f"f0000000-0000-4000-8000-{number:012d}"
        name = f"Flow number {number} of the sales team"
        await table.upsert(replace(item, workflow_id=workflow_id, display_name=name))

    page = extract_files(await export_evidence(scenario))["report.html"]

    assert len(page.encode()) <= 300_000
    assert page.count('<th scope="row">Flow number') == 2_000
    summary = "<summary>Awaiting approval"
    assert f'<details class="fold" open>{summary}' in few
    assert f'<details class="fold">{summary}' in page


async def test_report_groups_flows_with_the_same_reason(scenario: Scenario) -> None:
    await scenario.order()
    await scenario.approve(run=timedelta(hours=6))
    for title in await scenario.read_jobs():
        await scenario.block_flow(title, message=f"The owner of {title} has left.")

    page = extract_files(await export_evidence(scenario))["report.html"]

    assert "2 flows blocked</h3>" in page
    assert unescape(page).count(Reason.OWNER_UNAVAILABLE.meaning) == 1
    assert "has left." not in page


async def test_report_counts_archived_calls_before_and_after_the_cutover(
    scenario: Scenario,
) -> None:
    await scenario.order()
    scenario.world.traffic.beat(scenario.world)
    await scenario.approve(run=timedelta(hours=6))
    without = extract_files(await export_evidence(scenario))["report.html"]
    await archive_runs(scenario.services, scenario.remediation.id)
    job = await scenario.read_job("Orders")
    archive = await scenario.services.tables.run_archives.get(job.environment_id, job.id)
    assert archive is not None

    page = extract_files(await export_evidence(scenario))["report.html"]

    row = re.search(
        r'<th scope="row">Orders<td>[^<]+<td>(\d+)<td>(\d+)<td>[^<]+<', page.partition("Runs of")[2]
    )
    assert row is not None
    assert int(row[1]) + int(row[2]) == archive.item.runs
    assert int(row[1]) > 0
    assert "does not show when the originals were called" in without


async def test_report_shows_reverted_changes(scenario: Scenario) -> None:
    await retire_originals(scenario)
    await scenario.roll_back()

    page = extract_files(await export_evidence(scenario))["report.html"]

    changes = re.findall(r'<tr><th scope="row">([^<]+)</th><td>(\d+)</td><td>(\d*)</td>', page)
    assert ("Copies created", "2", "2") in changes
    assert ("Callers updated by the app", "1", "1") in changes
    assert ("Originals now turned on", "2", "") in changes
    assert ("Originals deleted", "0", "0") in changes
    assert "0 of 2 flows migrated, 2 not migrated." in page


async def test_report_shows_each_request_once_and_counts_rejected_ones(
    scenario: Scenario,
) -> None:
    await scenario.order()
    provide(scenario.services)
    path = f"remediations/{scenario.remediation.id}/cancel"
    await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id, path=path)
    wrong = await call(
        remediation_actions_api.approve_remediation,
        {"versions": ["0" * 16], "approved_by": "tests"},
        id=scenario.remediation.id,
        path=f"remediations/{scenario.remediation.id}/approve",
    )

    page = extract_files(await export_evidence(scenario))["report.html"]

    assert wrong.status >= 400
    assert page.count("Cancelled the remediation<") == 1
    assert "Started the remediation (apply)" in page
    assert "1 request was rejected" in page


async def test_report_lists_only_decisions_and_ends_with_the_last_one(scenario: Scenario) -> None:
    await retire_originals(scenario)
    began = scenario.remediation.created_at
    scenario.world.clock.advance(timedelta(days=30))
    provide(scenario.services)
    path = f"remediations/{scenario.remediation.id}/retry"
    await call(remediation_actions_api.retry_remediation, {}, id=scenario.remediation.id, path=path)

    page = extract_files(await export_evidence(scenario))["report.html"]

    decided = re.findall(
        r"<tr><th scope=\"row\"><span[^>]+>([^<]+)</span></th><td[^>]*>([^<]*)<", page
    )
    assert {who for _, who in decided}.isdisjoint({"the app"})
    days = [f"{day:%-d %B %Y}" for day in (began, scenario.services.now)]
    assert f"{days[0]} to {days[1]}</h1>" in page


async def test_report_before_the_approval_has_no_flow_job(scenario: Scenario) -> None:
    await scenario.order()

    found = extract_files(await export_evidence(scenario))

    assert "No flow job was started." in found["report.html"]
    assert "flows.jsonl" not in found
    assert len(found["changes.csv"].splitlines()) == 1
