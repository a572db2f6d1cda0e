"""Visit the dashboard in Chromium, and record every fault."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

# Only `make browser` has it.
pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser, Locator, Page, Response, expect

#: Of what the app does by itself meanwhile, on two cores that others use too.
PATIENCE = 120_000
SIGNATURE = re.compile(r"sig(=|%3D)[A-Za-z0-9_-]{20}")


@dataclass  # no slots: playwright keeps something of its own at whom it calls
class Visit:
    """A visit to the dashboard by a signed-in person, and the faults recorded on it."""

    page: Page
    url: str
    #: axe-core, as a script that is run in the page.
    axe: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    #: Policies under which a page was shown that are not as strict as they should be.
    lax: list[str] = field(default_factory=list)

    async def open(self, path: str = "") -> None:
        await self.page.goto(f"{self.url}/api/dashboard{path}")

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name).first.click()

    async def wait_for_text(self, text: str | re.Pattern[str], *, within: str = "main") -> None:
        """Wait until a text appears, without loading the page again."""
        await expect(self.page.locator(within)).to_contain_text(text, timeout=PATIENCE)

    async def confirm_action(
        self, action: str | re.Pattern[str], *says: str, **fields: str
    ) -> None:
        """Open an action with the keyboard, check that it contains the texts `says`, fill its
        fields, and confirm it.
        """
        opened = self.page.locator("details.deed", has_text=action).first
        await opened.locator("summary").focus()
        await self.page.keyboard.press("Enter")
        for text in says:
            await expect(opened).to_contain_text(text)
        named = opened.locator("input[name$=_by]")
        if await named.count():
            await named.fill("Approver")
        for name, value in fields.items():
            entry = opened.locator(f"input[name={name}]")
            if await entry.count():
                await entry.fill(value)
        await tick_required_boxes(opened)
        await opened.get_by_role("button").click()
        await expect(self.page.locator(".said")).to_be_visible()

    async def approve_plan(self) -> None:
        """Approve the plan with all flows.

        Fails if the bar does not show the numbers of flows and changes.
        """
        bar = self.page.locator(".approve")
        await expect(bar).to_contain_text(re.compile(r"You approve \d+ flows, \d+ changes,"))
        await bar.get_by_role("button").click()
        await expect(self.page.locator(".said")).to_contain_text("Approved:")

    async def call_api(self, method: str, path: str, body: object = None) -> Any:
        """Send an API request in the browser's session, and return the answer's document."""
        address = f"{self.url}/api/{path}"
        reply = await self.page.request.fetch(address, method=method, data=body)
        assert reply.ok, await reply.text()
        return await reply.json()

    async def check(self) -> None:
        """Fail if the page is not accessible, is wider than the screen, or contains the signature
        of a trigger URL.
        """
        found = await self.page.evaluate(f"{self.axe}; axe.run()")
        wrong = [(one["id"], one["help"], _list_places(one)) for one in found["violations"]]
        assert not wrong, (self.page.url, wrong)
        wide = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, self.page.url
        assert not SIGNATURE.search(await self.page.content())

    def require_no_fault(self) -> None:
        assert self.errors == []
        assert self.lax == []
        assert self.hosts == {urlsplit(self.url).netloc}

    def record_response(self, response: Response) -> None:
        """Record the host of a response, and a page whose content security policy allows too
        much.
        """
        self.hosts.add(urlsplit(response.url).netloc)
        if response.headers.get("content-type", "").startswith("text/html"):
            policy = response.headers.get("content-security-policy", "none at all")
            if "unsafe" in policy or "default-src 'none'" not in policy:
                self.lax.append(f"{response.url}: {policy}")


async def tick_required_boxes(opened: Locator) -> None:
    for box in await opened.locator("input[type=checkbox][required]").all():
        await box.check()


@asynccontextmanager
async def open_visit(browser: Browser, url: str, account: str, axe: str) -> AsyncIterator[Visit]:
    """Sign in and yield the visit, which records responses and errors."""
    context = await browser.new_context(viewport={"width": 1100, "height": 720})
    visit = Visit(await context.new_page(), url, axe)
    await visit.open()
    await visit.follow(account)
    await visit.page.wait_for_url(f"{url}/api/dashboard")
    visit.page.on("response", visit.record_response)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on(
        "console", lambda said: visit.errors.append(said.text) if said.type == "error" else None
    )
    yield visit
    await context.close()


def _list_places(violation: Any) -> list[str]:
    return [node["html"][:200] for node in violation["nodes"][:3]]
