"""The dashboard in Chromium, on the worker and the local cloud that `make up` starts.

An administrator looks, approves, watches, repairs, retries and rolls back, with the pages alone.
"""

import os
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser

from local_cloud.demo.azure import POLICY_SYSTEM_ID, RECEIPTS_GROUP
from local_cloud.demo.tenant import OLD_APP, OPERATIONS
from tests.browser.visit import Visit, accept_all, visiting
from tests.e2e.test_first_hour import printed

#: The system's browser, and axe-core as npm brings it: `make browser` sets both.
CHROMIUM, AXE = os.environ.get("CHROMIUM", ""), os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (CHROMIUM and AXE), reason="needs CHROMIUM and AXE: `make browser`"),
]
#: A canvas app that nobody but its maker can point at the copy: its job waits for that.
BY_HAND = "Answer the old app"
ACCOUNT = "admin@contoso.example"


class Outside:
    """The actions outside the pages: in the tenant, and with the API."""

    def __init__(self, session: aiohttp.ClientSession, text: str) -> None:
        exports = dict(re.findall(r"export (\w+)=(\S+)", text))
        self.url = exports["CMKFLOW_API"]
        self._tenant = f"{exports['LOCAL_TENANT']}/environments/{OPERATIONS.id}"
        self._session = session

    async def apply_key(self, visit: Visit) -> None:
        """Opt the environment in, and apply the policy."""
        await visit.ask("PUT", f"environments/{OPERATIONS.id}", {"approval_policy": "required"})
        body = {"systemId": POLICY_SYSTEM_ID}
        async with self._session.post(f"{self._tenant}/link", json=body) as reply:
            assert reply.status < 300

    async def job(self, visit: Visit, remediation: str) -> Any:
        """Return the job that waits for the maker of the canvas app."""
        detail = await visit.ask("GET", f"remediations/{remediation}")
        [job] = [job for job in detail["flow_jobs"] if job["display_name"] == BY_HAND]
        return job

    async def publish(self, app: str, *flows: str) -> None:
        """Publish the canvas app as its maker, with these flows."""
        body = {"flows": flows}
        async with self._session.patch(f"{self._tenant}/canvasApps/{app}", json=body) as reply:
            assert reply.status == 204


@pytest.fixture
def axe() -> str:
    """Return the script that checks a page's accessibility."""
    return Path(AXE).read_text()


async def test_from_the_overview_to_a_flow_that_is_rolled_back(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    """Each page passes axe-core, loads nothing from other hosts, and logs no error."""
    async with printed(tmp_path / "up") as text, aiohttp.ClientSession() as session:
        outside = Outside(session, text)
        async with visiting(browser, outside.url, ACCOUNT, axe) as visit:
            await visit.open()
            await visit.check()
            await outside.apply_key(visit)
            await visit.see("awaits approval")  # without a reload
            await visit.check()

            await visit.follow("Review plan")
            await visit.check()
            await visit.approve()

            await visit.page.get_by_role("link", name="Remediation", exact=True).click()
            await visit.see(re.compile("blocked (before|while|after)"))
            await watched(visit)
            await opened(visit)

            await visit.follow(BY_HAND)
            await visit.see("What to do")
            await visit.check()
            remediation = visit.page.url.split("/")[-3]
            job = await outside.job(visit, remediation)
            await outside.publish(OLD_APP, job["copy_id"])
            await visit.do("Retry", f"{BY_HAND}: retried from the step where it stopped")
            await visit.see("Retired", within="#flow-state")
            await visit.follow("Compare now")
            await visit.see("No differences.")
            async with visit.page.expect_response(re.compile("/flows/")) as live:
                pass  # the page keeps itself up to date
            assert "compare" not in (await live.value).url
            await visit.check()

            await visit.do("Roll back", "Originals turned on again")
            await visit.see("Change it to the original yourself. Then retry.")
            await outside.publish(OLD_APP, job["original_id"])
            await visit.do("Retry")
            await visit.see("Rolled back", within="#flow-state")
            await visit.check()
            for path in (
                "",
                "/environments",
                "/remediations",
                "/network",
                "/deletions",
                "/audit",
                "/settings",
            ):
                await visit.open(path)
                await visit.check()
            visit.nothing_went_wrong()
            await ended(visit, remediation)
            await forged(visit)


async def watched(visit: Visit) -> None:
    """Check the remediation in progress: on a wide screen, a phone, in the dark, on paper."""
    page = visit.page
    await visit.check()
    await page.emulate_media(color_scheme="dark")
    await visit.check()
    await page.set_viewport_size({"width": 390, "height": 844})
    await visit.check()
    await page.emulate_media(color_scheme="light")
    await visit.check()
    await page.set_viewport_size({"width": 1100, "height": 720})
    await page.emulate_media(media="print")
    assert not await page.locator("#actions").is_visible()
    await page.emulate_media(media="screen")


async def opened(visit: Visit) -> None:
    """Check the change that fixes a firewall, and start it."""
    gap = visit.page.locator("#firewalls article", has_text=RECEIPTS_GROUP)
    await gap.get_by_role("link", name="Show fix").click()
    await visit.see("Firewall fix")
    await visit.check()
    await visit.do("Apply fix", "The app will allow PowerPlatformPlex", "your name")
    await visit.see("Fixed 1 firewall.", within="body")
    await visit.do(re.compile(r"Retry \d+ blocked flows?"))


async def ended(visit: Visit, remediation: str) -> None:
    """After the session's end a live page shows it, and a form is kept until it is sent again."""
    page = visit.page
    await visit.open(f"/remediations/{remediation}")
    form = page.locator("#actions details.deed", has_text="Roll back all flows")
    await form.locator("summary").click()
    await accept_all(form)
    await page.context.clear_cookies()
    await visit.see("Your session has expired", within="#live-message")
    await visit.check()

    await form.get_by_role("button", name="Roll back all flows").click()
    await visit.see("Nothing was changed.")
    await visit.check()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Sign in", exact=True).click()
    tab = await opened.value
    await tab.get_by_role("link", name=ACCOUNT).click()
    await tab.wait_for_url(f"{visit.url}/api/dashboard")
    await tab.close()
    await page.get_by_role("button", name="Send again").click()
    await page.wait_for_url(
        f"{visit.url}/api/dashboard/remediations/{remediation}?completed_action=rollback*"
    )


async def forged(visit: Visit) -> None:
    """A page of another site makes the browser send a form, which has no effect."""
    await visit.page.goto("about:blank")
    await visit.page.set_content(
        f'<form method="post" action="{visit.url}/api/remediations/any/cancel"><button>Win</button>'
    )
    await visit.page.get_by_role("button").click()
    await visit.see("You are not signed in.")
    assert not await visit.page.get_by_role("button").count()
