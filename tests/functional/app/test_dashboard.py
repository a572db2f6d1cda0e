import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from azure.functions import HttpResponse

from functions import dashboard_api, plan_page_api
from functions.dashboard.page_layout import read_assets
from shared.bootstrap import provide
from shared.use_cases import change_remediation
from tests.functional.app.dashboard_scenario import (
    build_app_scenario,
    build_dashboard_scenario,
    find_flow_id,
    run_until_no_call_period,
    show_flow_page,
    show_remediation_page,
)
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def scenario() -> Scenario:
    return await build_dashboard_scenario()


def list_flows(page: Reply) -> list[tuple[str, str]]:
    found = []
    for row in re.findall(r"<li[^>]*><b><a .*?</li>", page.text, re.DOTALL):
        title = re.search(r">([^<>]+)</a>", row)
        words = re.search(r"<span[^>]*>([^<>]+)</span></span>", row)
        assert title is not None
        found.append((unescape(title[1]), words[1] if words else ""))
    return found


async def test_overview_links_to_the_plan_that_awaits_approval(scenario: Scenario) -> None:
    page = await call(dashboard_api.show_status_page)

    assert page.status == 200
    assert re.search(r"<h1[^>]*>.*?1 action required</h1>", page.text)
    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}/plan"' in page.text
    assert "Contoso" in page.text


async def test_remediation_page_lists_blocked_flows_first_and_filters_by_query(
    scenario: Scenario,
) -> None:
    """Blocked flows are first. The filter is in the address, so it survives a reload."""
    await run_until_no_call_period(scenario)
    await scenario.block_flow("Orders")

    everything = list_flows(await show_remediation_page(scenario, state="all"))
    blocked = list_flows(await show_remediation_page(scenario, state="blocked"))
    found = list_flows(await show_remediation_page(scenario, search="close"))

    assert len(everything) == 3
    assert everything[0] == ("Orders", "Not retired") == blocked[0]
    assert len(blocked) == 1
    assert [title for title, _ in found] == ["Close of day"]


async def test_live_sections_exist_from_the_start(scenario: Scenario) -> None:
    async def list_live_parts() -> list[list[str]]:
        pages = [
            await call(dashboard_api.show_status_page),
            await call(dashboard_api.show_remediations_page),
            await show_remediation_page(scenario),
            await show_flow_page(scenario, "Orders"),
        ]
        return [re.findall(r'id="([^"]+)" data-live="', page.text) for page in pages]

    before = await list_live_parts()
    await run_until_no_call_period(scenario)
    await scenario.block_flow("Orders")

    assert await list_live_parts() == before
    assert all(before)


def build_hashes_header(page: Reply) -> dict[str, str]:
    return {"Live-Sections": " ".join(re.findall(r'data-(?:live|part)="(\w+)"', page.text))}


async def test_live_update_gets_the_changed_sections_or_an_empty_response(
    scenario: Scenario,
) -> None:
    await run_until_no_call_period(scenario)
    flow_id = find_flow_id(scenario, "Orders")
    pages: list[tuple[Callable[..., Awaitable[HttpResponse]], dict[str, Any]]] = [
        (dashboard_api.show_status_page, {}),
        (dashboard_api.show_environments_page, {}),
        (dashboard_api.show_remediations_page, {}),
        (dashboard_api.show_remediation_page, {"id": scenario.remediation.id}),
        (
            dashboard_api.show_flow_page,
            {"id": scenario.remediation.id, "params": {"flow": flow_id}},
        ),
    ]
    before = [await call(show, **where) for show, where in pages]
    for (show, where), page in zip(pages, before, strict=True):
        assert 'data-live="' in page.text
        assert not re.search(r"data-(live|part)[ >]", page.text)
        same = await call(show, **where, headers=build_hashes_header(page))
        assert (same.status, same.content) == (204, b"")
        assert same.headers["Cache-Control"] == "no-store"

    await scenario.block_flow("Orders")
    for (show, where), page in zip(pages, before, strict=True):
        sections = await call(show, **where, headers=build_hashes_header(page))
        assert sections.status == 200
        assert 'aria-label="Main"' not in sections.text
        assert len(sections.content) < len(page.content)
    everything = await call(dashboard_api.show_remediation_page, id=scenario.remediation.id)
    changed = await call(
        dashboard_api.show_remediation_page,
        id=scenario.remediation.id,
        headers=build_hashes_header(before[3]),
    )
    assert "Its owner has left." in changed.text
    assert set(re.findall(r'id="([^"]+)" data-live', changed.text)) >= {"progress", "causes"}
    other = f'/flows/{find_flow_id(scenario, "<b>Invoices</b>")}"'
    # Entries in the history are sent that are in one line with an entry of Orders.
    assert changed.text.count(other) < everything.text.count(other)


async def test_remediation_page_lists_planned_actions_before_the_approval(
    scenario: Scenario,
) -> None:
    page = await show_remediation_page(scenario)
    listed = await show_remediation_page(scenario, state="awaiting")

    assert "3 flows await approval" in page.text
    assert "<div>Copy with dependent flows</div>" in page.text
    assert ("Orders", "Awaits approval") in list_flows(listed)
    assert "Review the plan" in page.text


async def test_names_from_the_tenant_are_escaped(scenario: Scenario) -> None:
    await run_until_no_call_period(scenario)
    pages = [
        await show_remediation_page(scenario),
        await show_flow_page(scenario, "<b>Invoices</b>"),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await call(
            plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
        ),
    ]

    for page in pages:
        assert page.status == 200
        assert "&lt;b&gt;Invoices" in page.text
        assert "<b>Invoices" not in page.text


async def test_control_and_bidirectional_characters_of_names_are_replaced() -> None:
    name = "Orders \u202egpj.exe\x1b[2J\x07\u2066\r\u2028 خبر 👩\u200d🚀"
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_parent(f"Parent {name}", scenario.build.add_http_flow(name))
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    pages = [
        await call(dashboard_api.show_status_page),
        await call(dashboard_api.show_remediations_page),
        await show_remediation_page(scenario),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
        await show_flow_page(scenario, name),
    ]

    for page in pages:
        assert page.status == 200
        assert not set(page.text) & set("\u202e\x1b\x07\u2066\r\u2028")
    assert sum("Orders �gpj.exe�[2J" in page.text for page in pages) >= 3
    assert sum("خبر 👩\u200d🚀" in page.text for page in pages) >= 3


async def test_pages_load_only_assets_of_the_app_with_a_hash_in_their_name(
    scenario: Scenario,
) -> None:
    pages = [
        await call(dashboard_api.show_status_page),
        await call(dashboard_api.show_remediations_page),
        await show_remediation_page(scenario),
        await show_flow_page(scenario, "Orders"),
        await call(plan_page_api.show_plan_page, id=scenario.remediation.id),
    ]

    every = set[str]()
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", page.text)
        loaded = set(re.findall(r'(?:src|href)="/api/dashboard/assets/([^"]+)"', page.text))
        assert len(loaded) in {3, 4}  # a style sheet, the icon and scripts
        every |= loaded
    assert every == set(read_assets())
    for name, (kind, text) in read_assets().items():
        file = await call(dashboard_api.show_asset, params={"name": name})
        assert (file.media_type, file.text) == (kind, text)
        assert "immutable" in file.headers["Cache-Control"]
    assert (await call(dashboard_api.show_asset, params={"name": "0-css"})).status == 404


async def test_exported_plan_loads_nothing_and_has_no_form(
    scenario: Scenario,
) -> None:
    page = await call(
        plan_page_api.show_plan_page, id=scenario.remediation.id, query={"export": "true"}
    )

    assert "style-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert not any(word in page.text for word in ("<script", "<link", "<form", "src="))


async def test_unknown_remediation_flow_and_filter_have_an_error_page(scenario: Scenario) -> None:
    found = [
        await call(dashboard_api.show_remediation_page, id=NOWHERE),
        await call(
            dashboard_api.show_flow_page, id=scenario.remediation.id, params={"flow": NOWHERE}
        ),
        await show_remediation_page(scenario, state="<b>"),
    ]

    assert [page.status for page in found] == [404, 404, 400]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await call(dashboard_api.show_remediation_page, id=NOWHERE, headers=browser)
    assert (page.status, page.media_type) == (404, "text/html")
    assert f"No remediation {NOWHERE}." in page.text


async def test_list_links_to_each_remediation(scenario: Scenario) -> None:
    page = await call(dashboard_api.show_remediations_page)

    assert f'href="/api/dashboard/remediations/{scenario.remediation.id}"' in page.text
    assert "Awaiting approval" in page.text


async def test_list_counts_the_flows_that_are_migrated(scenario: Scenario) -> None:
    await scenario.approve(run=timedelta(days=40))

    page = await call(dashboard_api.show_remediations_page)

    counts = re.search(r'aria-label="(\d+) of (\d+) flows on your key"', page.text)
    assert counts
    assert counts[1] == counts[2] != "0"


async def test_pages_of_a_remediation_that_was_cancelled_before_its_plan_are_true() -> None:
    scenario = await build_app_scenario("Orders")
    await scenario.order(run=None)
    await change_remediation.cancel(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(hours=1))

    overview = await call(dashboard_api.show_status_page)
    listed = await call(dashboard_api.show_remediations_page)
    plan = await call(plan_page_api.show_plan_page, id=scenario.remediation.id)

    for page in (overview, listed):
        assert "Cancelled before its flows were known" in page.text
    assert "The job ended before it had a plan." in plan.text
