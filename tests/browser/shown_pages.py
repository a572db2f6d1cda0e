"""Show in Chromium, without a running app, the dashboard pages that `dashboard_stages` records."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from functions.dashboard.page_layout import read_assets
from tests.functional.scenarios.page_visitor import ShownPage

# Only `make browser` has it.
pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser, Page, Route, async_playwright

APP = "https://app.example"
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"
#: Pixels by which a page is wider than the screen.
EXCESS_WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass  # no slots: playwright sets an attribute on the object of a handler
class Viewer:
    """A tab that shows recorded pages of the app."""

    page: Page
    #: What the console and the script of a page reported.
    errors: list[str] = field(default_factory=list)
    _shown: ShownPage | None = None

    async def open(self, shown: ShownPage) -> None:
        """Show a page. Later requests of its script get the same page."""
        self._shown = shown
        await self.page.goto(f"{APP}{shown.path}")

    async def answer(self, route: Route) -> None:
        shown = self._shown
        assert shown is not None
        name = route.request.url.rpartition("/")[2]
        if asset := read_assets().get(name):
            await route.fulfill(body=asset[1], content_type=asset[0])
        else:
            policy = "Content-Security-Policy"
            headers = {policy: shown.headers[policy]} if policy in shown.headers else {}
            await route.fulfill(body=shown.text, content_type="text/html", headers=headers)


@asynccontextmanager
async def start_chromium(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def open_viewer(browser: Browser, width: int, height: int = 900) -> AsyncIterator[Viewer]:
    page = await browser.new_page(viewport={"width": width, "height": height})
    viewer = Viewer(page)
    page.on("pageerror", lambda error: viewer.errors.append(str(error)))
    page.on(
        "console", lambda said: viewer.errors.append(said.text) if said.type == "error" else None
    )
    await page.route("**/*", viewer.answer)
    yield viewer
    await page.close()
