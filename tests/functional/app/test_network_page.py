import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from functions import dashboard_api, network_api, network_page_api, status_api
from functions.dashboard.network_page import FIREWALLS_ON_PAGE, MOST_RANGES
from shared.bootstrap import provide
from shared.domain.alert import Alert
from shared.domain.plans.remediation import FirewallIssueSummary
from shared.domain.principal import Role
from shared.errors import ServiceUnavailable
from shared.reason import Reason
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes import definition_builder as define
from tests.fakes.fault_injection import Failing
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, build_sign_in_header, call
from tests.functional.scenarios.firewall_scenario import ERP_HOST, build_erp_firewall
from tests.functional.scenarios.remediation_scenario import Scenario

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
NOTHING: Mapping[str, str] = {}
HERE = "/api/dashboard/network"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    for title in ("Orders", "Returns"):
        scenario.build.add_http_flow(
            title, {"Call": define.build_http_action(f"https://{ERP_HOST}/")}
        )
    scenario.world.service_tags = {WEST: ["20.1.0.0/24", "20.3.0.0/24"], NORTH: ["20.2.0.0/24"]}
    scenario.world.firewalls = [build_erp_firewall("20.1.0.0/24")]
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=6))
    provide(scenario.services)
    return scenario


async def show_page(
    query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
) -> str:
    reply: Reply = await call(network_page_api.show_network_page, query=query, headers=headers)
    assert reply.status == 200, reply.text
    return unescape(reply.text)


async def run_next_daily_check(scenario: Scenario, date: str) -> None:
    scenario.world.clock.advance(timedelta(days=1))
    await scenario.driver.call(lambda services: run_daily_check(services, date))
    provide(scenario.services)


async def publish_list(scenario: Scenario, prefixes: dict[str, list[str]], date: str) -> None:
    scenario.world.service_tags.update(prefixes)
    scenario.world.service_tags_edition += 1
    await run_next_daily_check(scenario, date)


async def add_issues(scenario: Scenario, *names: str) -> None:
    table = scenario.services.tables.environment_jobs
    [job] = await table.read_all()
    found = tuple(
        FirewallIssueSummary(
            name=f"key_vault:{name}",
            kind="key_vault",
            firewall_name=name,
            missing_prefixes=("20.1.0.0/24",),
            fix="Allow it.",
            workflow_ids=("a",),
            flow_count=1,
        )
        for name in names
    )
    await table.upsert(replace(job, firewall_issues=(*job.firewall_issues, *found)))


async def test_firewall_that_blocks_flows_is_shown_once_with_its_fix(scenario: Scenario) -> None:
    page = await show_page()

    [job] = await scenario.services.tables.environment_jobs.read_all()
    assert "1 firewall blocks 2 flows</h1>" in page
    assert "Fix the firewall or ignore it, then retry its flows." in page
    assert "2 ranges missing" in page
    assert ">Contoso</a>: 2 flows blocked" in page
    assert "20.2.0.0/24" in page
    fix = (
        f"/api/dashboard/remediations/{job.remediation_id}"
        f"?firewall_fix=app_service%3A%2Ffirewalls%2Ferp&environment={job.environment_id}"
        "#firewall-fix"
    )
    assert f'href="{fix}"' in page


async def test_flows_that_firewalls_block_are_retried_from_the_page(scenario: Scenario) -> None:
    page = await show_page()

    [job] = await scenario.services.tables.environment_jobs.read_all()
    assert '<summary class="button ">Retry 2 flows</summary>' in page
    [form] = re.findall(
        rf'action="/api/remediations/{job.remediation_id}/retry".*?</form>', page, re.S
    )
    assert 'name="reason_code" value="firewall_denies"' in form


async def test_overview_and_status_count_firewalls_and_flows_like_the_network_page(
    scenario: Scenario,
) -> None:
    overview = (await call(dashboard_api.show_status_page)).text
    status = (await call(status_api.show_status)).document

    assert f'<a href="{HERE}">1 firewall blocks 2 flows</a>' in overview
    assert (status["blocking_firewall_count"], status["firewall_blocked_flow_count"]) == (1, 2)
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    await scenario.retry(run=timedelta(hours=6))
    provide(scenario.services)
    assert "1 firewall blocks" not in (await call(dashboard_api.show_status_page)).text


async def test_changed_list_is_one_line_and_its_ranges_are_folded(scenario: Scenario) -> None:
    await run_next_daily_check(scenario, "before")
    added = [f"30.0.{number}.0/24" for number in range(0, 200, 2)]
    await publish_list(scenario, {WEST: ["20.1.0.0/24", *added]}, "after")

    page = await show_page()

    assert "100 ranges added, 1 removed, first read 2026-" in page
    assert "no earlier list to compare with" in page
    assert page.count("<code>30.0.") <= 2 * MOST_RANGES
    assert f"and {100 - MOST_RANGES} others" in page
    assert ">erp</a> lacks 100 added ranges" in page
    assert "last read less than 1 min ago, 2026-" in page


async def test_page_reports_lists_and_firewalls_that_were_not_read(scenario: Scenario) -> None:
    empty = Scenario()
    provide(empty.services)
    nothing = await show_page()
    assert "No firewall was read yet" in nothing
    assert "not read yet" in nothing
    assert "The app has not read Microsoft's service tag list yet." in nothing

    await run_next_daily_check(scenario, "before")
    scenario.world.clock.advance(timedelta(days=8))
    alert = Alert(
        reason_code=Reason.ADDRESS_RANGES_OUTDATED,
        row=("servicetaglistversions", "service_tag_list_version", "x"),
        message="Microsoft's service tag list: it could not be read since 2026-03-03: out.",
        raised_at=scenario.services.now,
        fix="Check `CMK_SUBSCRIPTION_IDS`.",
    )
    await scenario.services.tables.alerts.upsert(alert)
    provide(scenario.services)
    page = await show_page()
    assert alert.message in page
    assert "<code>CMK_SUBSCRIPTION_IDS</code>" in page


async def test_page_shows_when_an_outdated_list_was_last_read(scenario: Scenario) -> None:
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    await scenario.retry(run=timedelta(hours=6))
    await run_next_daily_check(scenario, "read")
    current = await show_page()
    scenario.world.clock.advance(timedelta(days=3))
    provide(scenario.services)
    page = await show_page()

    assert "No firewall is known to block a flow</h1>" in current
    assert "the only one that the app has read." in current
    assert "Address ranges may be out of date" not in current
    assert "Microsoft's list was last read 3 days ago</h1>" in page
    assert "<code>cmkflow network tag-changes --refresh</code>" in page


async def test_unknown_geography_is_shown_separately(scenario: Scenario) -> None:
    table = scenario.services.tables.environment_jobs
    [job] = await table.read_all()
    lacking = FirewallIssueSummary(
        name="geography:atlantis",
        kind="geography",
        firewall_name="",
        missing_prefixes=(),
        fix="Check the firewalls manually.",
        workflow_ids=(),
    )
    await table.upsert(replace(job, firewall_issues=(*job.firewall_issues, lacking)))

    page = await show_page()

    assert "<h2>Not known: geography:atlantis</h2>" in page
    assert "Check the firewalls manually." in page
    assert "1 firewall blocks 2 flows</h1>" in page


async def test_firewalls_are_filtered_by_address_and_paged(scenario: Scenario) -> None:
    await add_issues(scenario, *(f"vault-{number:02}" for number in range(30)))

    def find_names(page: str) -> list[str]:
        return re.findall(r'<th scope="row">(\S+?)<span class="sub">', page)

    first = await show_page()
    assert find_names(first)[:2] == ["erp", "vault-00"]
    assert len(find_names(first)) == FIREWALLS_ON_PAGE
    assert "1 to 25 of 31" in first
    blocking = await show_page({"status": "blocking"})
    assert find_names(blocking) == ["erp"]
    assert "1 firewall of 31" in blocking
    vaults = await show_page({"search": "key vault"})
    assert f'href="{HERE}?search=key+vault&start=25#firewalls"' in vaults
    rest = await show_page({"search": "key vault", "start": "25"})
    assert find_names(rest) == [f"vault-{number}" for number in range(25, 30)]
    assert "No firewall matches the filter." in await show_page({"search": "nowhere"})
    assert (await call(network_page_api.show_network_page, query={"status": "odd"})).status == 400


async def test_firewalls_are_exported_with_the_filter(scenario: Scenario) -> None:
    await add_issues(scenario, "=vault", "other")

    page = await show_page({"search": "=vault"})
    assert f'href="{HERE}?search=%3Dvault&export=csv"' in page
    assert 'href="/api/network/firewalls?search=%3Dvault"' in page
    query = {"search": "=vault", "export": "csv"}
    file = await call(network_page_api.show_network_page, query=query)
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    every = (await call(network_api.list_firewalls)).document
    some = (await call(network_api.list_firewalls, query={"search": "=vault"})).document

    assert file.media_type == "text/csv"
    assert 'filename="firewalls.csv"' in file.headers["Content-Disposition"]
    assert [(row["firewall"], row["blocked_flows"]) for row in rows] == [("'=vault", "0")]
    assert [one["name"] for one in some["items"]] == ["=vault"]
    assert [one["name"] for one in every["items"]] == ["erp", "=vault", "other"]
    assert every["blocked_flow_count"] == 2
    assert every["items"][0]["environments"][0]["blocked_count"] == 2


async def test_firewall_is_listed_while_its_flows_are_tried_again(scenario: Scenario) -> None:
    await run_next_daily_check(scenario, "retried")

    page = await show_page()
    assert "1 firewall lacks address ranges; no flow is blocked</h1>" in page
    assert ">Contoso</a>: 2 flows<" in page
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    await scenario.run(timedelta(hours=6))
    provide(scenario.services)
    assert "No firewall is known to block a flow</h1>" in await show_page()


async def test_unreadable_row_does_not_hide_other_rows(scenario: Scenario) -> None:
    await run_next_daily_check(scenario, "before")
    await publish_list(scenario, {WEST: ["20.1.0.0/24", "20.9.0.0/24"]}, "after")
    rows = scenario.fakes.store.rows
    first = min(name for name in rows if name[0] == "servicetaglistversions")
    rows[first] = replace(rows[first], columns={**rows[first].columns, "data0": "{"})

    page = await show_page()

    assert "This version of the app cannot read 1 row" in page
    assert "List 372" in page
    assert "List 371" not in page
    assert "1 firewall lacks address ranges; no flow is blocked</h1>" in page


async def test_reader_can_open_the_page(scenario: Scenario) -> None:
    reader = build_sign_in_header("ada@contoso.example", [Role.READER])
    nobody = build_sign_in_header("bob@contoso.example", [])

    assert "1 firewall blocks 2 flows" in await show_page(headers=reader)
    rejected = await call(network_page_api.show_network_page, headers=nobody)
    assert rejected.status == 403


async def test_page_reads_stored_rows_only(scenario: Scenario) -> None:
    """The page must open while Azure does not answer."""
    out: Any = Failing(ServiceUnavailable("out"))
    services = scenario.services
    provide(replace(services, service_tags=out, environments=out, firewalls={"app_service": out}))

    assert "1 firewall blocks 2 flows" in await show_page()


async def test_live_update_returns_only_changed_sections(scenario: Scenario) -> None:
    page = await show_page()
    known = " ".join(re.findall(r'data-live="(\w+)"', page))
    headers = {"Live-Sections": known}
    same = await call(network_page_api.show_network_page, headers=headers)
    await run_next_daily_check(scenario, "first list")
    changed = await call(network_page_api.show_network_page, headers=headers)

    assert len(known.split()) == 7
    assert same.status == 204
    assert changed.status == 200
    assert 'id="lists" data-live=' in changed.text
    assert 'id="unknowns" data-live=' not in changed.text


async def test_command_lists_firewalls_like_the_page(scenario: Scenario) -> None:
    async with serve_app() as app:
        shown = await app.run("network", "firewalls")
        none = await app.run("network", "firewalls", "--search", "nowhere")

    assert shown.exit_code == 0, shown.output
    assert re.search(r"erp\s+app service\s+blocking\s+2\s+2\s+Contoso", shown.output)
    assert "erp" not in none.output
