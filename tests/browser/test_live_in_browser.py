"""Test the live update of pages in Chromium, without a running app."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

# Only `make browser` has it.
pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser, Page, Route, expect

from functions.dashboard.live_sections import add_hashes, select_changed_sections
from functions.dashboard.page_layout import read_assets

CHROMIUM = os.environ.get("CHROMIUM", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not CHROMIUM, reason="needs CHROMIUM: `make browser`"),
]
APP = "https://app.example"
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'"
#: Milliseconds of the longest interval between two requests.
LONGEST = 60_000


@dataclass
class App:
    """Plays the app: serves a page with two sections, and answers its requests for updates."""

    page: Page
    answer: str = "One"
    rows: tuple[str, ...] = ("Orders", "Bills")
    #: Status of the answers to live updates; 0: none is answered.
    status: int = 200
    #: Bytes of each answer to a live update.
    sent: list[int] = field(default_factory=list)

    def build_page(self) -> str:
        css, js, *_ = read_assets()
        rows = "".join(f"<li data-part>{one}</li><!--/part-->" for one in self.rows)
        return add_hashes(
            f'<!doctype html><html lang="en"><title>{self.answer}</title>'
            f'<link rel="stylesheet" href="/{css}"><script src="/{js}" defer></script>'
            '<p id="live"><a href="/">Refresh</a></p>'
            f'<div id="answer" data-live><p>{self.answer}</p><a href="#x">Fix</a>'
            "<details><summary>More</summary><input></details></div><!--/answer-->"
            f'<div id="list" data-live><ul>{rows}</ul></div><!--/list-->'
        )

    async def serve(self, route: Route) -> None:
        request = route.request
        known = await request.header_value("Live-Sections")
        asset = read_assets().get(request.url.rpartition("/")[2])
        if asset:
            await route.fulfill(body=asset[1], content_type=asset[0])
        elif known is None:
            headers = {"Content-Security-Policy": POLICY}
            await route.fulfill(body=self.build_page(), content_type="text/html", headers=headers)
        elif not self.status:
            await route.abort()
        else:
            changes = (
                select_changed_sections(self.build_page(), known) if self.status == 200 else ""
            )
            self.sent.append(len(changes))
            status = 204 if self.status == 200 and not changes else self.status
            await route.fulfill(status=status, body=changes, content_type="text/html")

    async def run_update(self) -> None:
        """Let the longest interval pass, so that the page sends its next request."""
        async with self.page.expect_event("response" if self.status else "requestfailed"):
            await self.page.clock.run_for(LONGEST)


@pytest_asyncio.fixture(loop_scope="session")
async def app(browser: Browser) -> AsyncIterator[App]:
    """Open the page with a clock that advances only in steps of the test."""
    page = await browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    app = App(page)
    await page.route("**/*", app.serve)
    await page.clock.install()
    await page.goto(f"{APP}/api/dashboard")
    await expect(page.locator("#live")).to_have_text("Refresh")
    yield app
    await page.close()
    assert errors == []


async def test_live_update_sends_only_changed_rows(app: App) -> None:
    await app.run_update()
    await expect(app.page.locator("#live")).to_contain_text("Live, ")
    app.rows = ("New", "Bills", "Orders")
    await app.run_update()

    await expect(app.page.locator("#list li")).to_have_text(["New", "Bills", "Orders"])
    await app.run_update()
    assert app.sent[0] == app.sent[2] == 0
    assert 0 < app.sent[1] < len(select_changed_sections(app.build_page(), ""))


async def test_focused_section_changes_only_on_request(app: App) -> None:
    await app.page.get_by_role("link", name="Fix").focus()
    app.answer, app.rows = "Two", ("New",)
    await app.run_update()

    await expect(app.page.locator("#list li")).to_have_text("New")
    await expect(app.page.locator("#answer p")).to_have_text("One")
    await expect(app.page.get_by_role("status")).to_contain_text("has changed")
    await app.run_update()
    assert app.sent[1] == 0
    await app.page.get_by_role("button", name="Show changes").click()
    await expect(app.page.locator("#answer p")).to_have_text("Two")
    await expect(app.page.get_by_role("status")).to_be_empty()


async def test_section_with_an_open_form_is_replaced_when_the_form_is_closed(app: App) -> None:
    """The form keeps the reader's input while it is open."""
    await app.page.locator("summary").click()
    await app.page.locator("input").fill("My reason")
    app.answer = "Two"
    await app.run_update()
    await expect(app.page.locator("#answer p")).to_have_text("One")
    await expect(app.page.locator("input")).to_have_value("My reason")

    await app.page.locator("summary").click()
    await app.page.locator("summary").blur()
    await app.page.clock.run_for(1)

    await expect(app.page.locator("#answer p")).to_have_text("Two")


async def test_expired_session_is_reported_and_stops_the_requests(app: App) -> None:
    app.status = 401
    await app.run_update()

    await expect(app.page.get_by_role("alert")).to_contain_text("Your session has expired")
    link = app.page.get_by_role("link", name="Sign in again")
    assert "post_login_redirect_uri=%2Fapi%2Fdashboard" in (await link.get_attribute("href") or "")
    await app.page.clock.run_for(10 * LONGEST)
    assert len(app.sent) == 1


async def test_live_update_retries_less_often_if_the_app_does_not_answer(app: App) -> None:
    asked: list[str] = []
    app.page.on("request", lambda request: asked.append(request.url))
    app.status = 0
    await app.run_update()
    await expect(app.page.get_by_role("status")).to_contain_text("The app does not answer.")
    await expect(app.page.locator("#live")).to_contain_text("Not updated since ")
    await app.page.clock.run_for(4_000)
    assert len(asked) == 1

    app.status = 500
    await app.run_update()
    await expect(app.page.get_by_role("status")).to_contain_text("error 500")
    app.status = 200
    await app.run_update()
    await expect(app.page.get_by_role("status")).to_be_empty()


async def test_hidden_tab_sends_no_request_until_it_is_shown(app: App) -> None:
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await app.page.evaluate(hide, True)
    await app.page.clock.run_for(10 * LONGEST)
    assert app.sent == []

    await app.page.evaluate(hide, False)
    async with app.page.expect_event("response"):
        await app.page.clock.run_for(1)
    assert len(app.sent) == 1
