"""Test the script of the plan page in Chromium, without a running app."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

# Only `make browser` has it.
pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser, Page, Route, expect

from functions.dashboard.page_layout import read_assets
from functions.dashboard.plan_page import PlanChoice, build_plan_page
from shared.domain.environment import ApprovalPolicy
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.use_cases.show_remediation import PlanView
from tests.property.test_plan_page_approval import AWAITING, READER
from tests.unit.test_plan_approval import SETTING, build_item

CHROMIUM, AXE = os.environ.get("CHROMIUM", ""), os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not (CHROMIUM and AXE), reason="needs CHROMIUM and AXE: `make browser`"),
]
APP = "https://app.example"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'"
)
CHANGES = ("create the copy", "turn the copy on")
FLOWS = [
    build_item("a", children=("b",), planned_changes=CHANGES),
    build_item("b", children=("c",), planned_changes=CHANGES, callers=(SETTING,)),
    build_item("c", planned_changes=CHANGES),
    build_item("d", planned_changes=CHANGES),
    build_item("e", action=PlannedAction.NEEDS_CHANGES, planned_changes=()),
]


async def open_plan(page: Page, items: list[PlanItem], width: int = 1280, **choice: object) -> None:
    plan = PlanView(
        environment_job=AWAITING,
        items=tuple(items),
        trigger_hosts=(),
        approval_policy=ApprovalPolicy.REQUIRED,
    )
    text = build_plan_page(READER, "r", [plan], PlanChoice(**choice))  # type: ignore[arg-type]  # any choice

    async def serve(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if asset := read_assets().get(name):
            await route.fulfill(body=asset[1], content_type=asset[0])
        else:
            headers = {"Content-Security-Policy": POLICY}
            await route.fulfill(body=text, content_type="text/html", headers=headers)

    await page.route("**/*", serve)
    await page.set_viewport_size({"width": width, "height": 844})
    await page.goto(f"{APP}/api/dashboard/remediations/r/plan")


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a tab. An error on its console fails the test."""
    errors: list[str] = []
    page = await browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    await page.close()
    assert errors == []


async def test_checkboxes_follow_dependent_flows(page: Page) -> None:
    await open_plan(page, FLOWS)
    bar = page.locator(".approve")
    await expect(bar).to_contain_text("You approve 4 flows, 8 changes, in environment.")

    await page.get_by_label("Include Flow b").uncheck()
    await expect(bar).to_contain_text("You approve 2 flows, 4 changes, in environment.")
    await expect(bar.get_by_role("button", name="Approve 2 flows")).to_be_enabled()
    assert not await page.get_by_label("Include Flow a").is_checked()
    assert await page.get_by_label("Include Flow c").is_checked()

    await page.get_by_label("All", exact=True).check()
    await expect(bar).to_contain_text("You approve 4 flows, 8 changes, in environment.")
    await page.get_by_label("All", exact=True).uncheck()
    await expect(bar.get_by_role("button")).to_be_disabled()
    await page.get_by_label("Include Flow a").check()
    await expect(bar).to_contain_text("You approve 3 flows, 6 changes, in environment.")
    assert not await page.get_by_label("Include Flow d").is_checked()


async def test_search_and_filters_keep_the_selected_flows(page: Page) -> None:
    """The approval also includes flows that the page does not show."""
    await open_plan(page, FLOWS)
    lines = page.locator("#rows > li[data-kind]:visible")

    await page.get_by_label("Find a flow, caller or owner").fill(SETTING.label.upper())
    await expect(lines).to_have_count(1)
    await expect(page.get_by_role("status")).to_have_text("1 of 5 flows")
    await page.get_by_label("Find a flow, caller or owner").fill("")
    await page.get_by_role("button", name="is not included").click()
    await expect(lines).to_have_count(1)
    await expect(page.locator("#rows .group")).to_be_hidden()
    await expect(page.locator(".approve")).to_contain_text("You approve 4 flows")
    await page.get_by_role("button", name="is not included").click()
    await expect(lines).to_have_count(5)


async def test_button_to_another_page_sends_the_selected_flows(page: Page) -> None:
    many = [build_item(f"n{number}", planned_changes=CHANGES) for number in range(120)]
    await open_plan(page, [*FLOWS, *many], search="Flow c")
    await expect(page.locator(".approve")).to_contain_text("You approve 124 flows, 248 changes,")

    await page.get_by_label("Include Flow c").uncheck()

    await expect(page.locator(".approve")).to_contain_text("You approve 121 flows, 242 changes,")
    await expect(page.locator(".approve")).to_contain_text("includes 121 flows not listed")
    await expect(page.locator(".approve")).to_contain_text("3 flows are left out.")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.get_by_role("button", name="Show all").click()
    request = await sent.value
    assert request.url.startswith(f"{APP}/api/dashboard/remediations/r/plan?")
    body = parse_qs(request.post_data or "")
    assert body["offered_flow_ids[,]"] == ["c"]
    assert "included_flow_ids[]" not in body


async def test_enter_key_in_the_search_field_searches(
    page: Page,
) -> None:
    """The Enter key must not approve the plan."""
    many = [build_item(f"n{number}", planned_changes=CHANGES) for number in range(120)]
    await open_plan(page, many)
    await page.get_by_label("Find a flow, caller or owner").fill("n7")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.keyboard.press("Enter")

    request = await sent.value
    assert parse_qs(urlsplit(request.url).query) == {"find": ["true"]}
    assert parse_qs(request.post_data or "")["_search"] == ["n7"]


async def test_plan_page_is_accessible_and_fits_the_screen(page: Page, axe: str) -> None:
    for width in (1280, 390, 320):
        await open_plan(page, FLOWS, width)
        await page.evaluate(
            "document.querySelectorAll('details').forEach((one) => one.open = true)"
        )
        found = await page.evaluate(f"{axe}; axe.run()")
        assert [one["id"] for one in found["violations"]] == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) <= 0


async def test_printed_plan_shows_the_details_of_every_flow(page: Page) -> None:
    """On a screen, the details are closed at first."""
    await open_plan(page, FLOWS)
    details = page.locator("#rows .in").first
    await expect(details).to_be_hidden()

    await page.emulate_media(media="print")

    await expect(details).to_be_visible()
    await expect(page.locator(".approve")).to_be_hidden()


async def test_thirty_flows_take_less_than_ten_screens_of_a_phone(page: Page) -> None:
    many = [
        replace(one, workflow_id=f"{one.workflow_id}{number}", children=())
        for number in range(6)
        for one in FLOWS
    ]
    for width, most in ((390, 10), (1280, 4)):
        await open_plan(page, many, width)
        assert await page.evaluate("document.documentElement.scrollHeight") < most * 844
