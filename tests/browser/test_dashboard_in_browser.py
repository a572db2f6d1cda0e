"""Test the dashboard in Chromium, on the worker and the local cloud that `make up` starts."""

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
from tests.browser.visit import Visit, open_visit, tick_required_boxes
from tests.e2e.test_first_hour import run_make_up

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
    """Does what people do outside the dashboard."""

    def __init__(self, session: aiohttp.ClientSession, text: str) -> None:
        exports = dict(re.findall(r"export (\w+)=(\S+)", text))
        self.url = exports["CMKFLOW_API"]
        self._tenant = f"{exports['LOCAL_TENANT']}/environments/{OPERATIONS.id}"
        self._session = session

    async def apply_key(self, visit: Visit) -> None:
        """Opt the environment in, and apply the enterprise policy with the customer-managed key."""
        await visit.call_api(
            "PUT", f"environments/{OPERATIONS.id}", {"approval_policy": "required"}
        )
        body = {"systemId": POLICY_SYSTEM_ID}
        async with self._session.post(f"{self._tenant}/link", json=body) as reply:
            assert reply.status < 300

    async def read_job(self, visit: Visit, remediation: str) -> Any:
        """Return the job that waits for the maker of the canvas app."""
        detail = await visit.call_api("GET", f"remediations/{remediation}")
        [job] = [job for job in detail["flow_jobs"] if job["display_name"] == BY_HAND]
        return job

    async def publish_app(self, app: str, *flows: str) -> None:
        """Publish the canvas app with these flows, as its maker does."""
        body = {"flows": flows}
        async with self._session.patch(f"{self._tenant}/canvasApps/{app}", json=body) as reply:
            assert reply.status == 204


async def test_administrator_migrates_and_rolls_back_flows_with_pages_alone(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    async with run_make_up(tmp_path / "up") as text, aiohttp.ClientSession() as session:
        outside = Outside(session, text)
        async with open_visit(browser, outside.url, ACCOUNT, axe) as visit:
            await visit.open()
            await visit.check()
            await outside.apply_key(visit)
            await visit.wait_for_text("awaits approval")  # without a reload
            await visit.check()

            await visit.follow("Review plan")
            await visit.check()
            await visit.approve_plan()

            crumbs = visit.page.get_by_role("navigation", name="You are here")
            await crumbs.get_by_role("link").last.click()
            await visit.wait_for_text(re.compile("blocked (before|while|after)"))
            await check_remediation_page(visit)
            await apply_firewall_fix(visit)

            await visit.follow(BY_HAND)
            await visit.wait_for_text("What to do")
            await visit.check()
            remediation = visit.page.url.split("/")[-3]
            job = await outside.read_job(visit, remediation)
            await outside.publish_app(OLD_APP, job["copy_id"])
            await visit.confirm_action(
                "Retry", f"{BY_HAND}: retried from the step where it stopped"
            )
            await visit.wait_for_text("Retired", within="#flow-state")
            await visit.follow("Compare now")
            await visit.wait_for_text("No differences.")
            async with visit.page.expect_response(re.compile("/flows/")) as live:
                pass  # the page keeps itself up to date
            assert "compare" not in (await live.value).url
            await visit.check()

            await visit.confirm_action("Roll back", "Originals turned on again")
            await visit.wait_for_text("add the original again, and publish the app. Then retry.")
            await outside.publish_app(OLD_APP, job["original_id"])
            await visit.confirm_action("Retry")
            await visit.wait_for_text("Rolled back", within="#flow-state")
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
            visit.require_no_fault()
            await check_expired_session(visit, remediation)
            await check_forged_request(visit)


async def check_remediation_page(visit: Visit) -> None:
    """Check a remediation's page on a wide screen, on a phone, in dark colours and on paper."""
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


async def apply_firewall_fix(visit: Visit) -> None:
    """Check the page of a firewall fix, and apply the fix."""
    gap = visit.page.locator("#firewalls article", has_text=RECEIPTS_GROUP)
    await gap.get_by_role("link", name="Show fix").click()
    await visit.wait_for_text("Firewall fix")
    await visit.check()
    await visit.confirm_action("Apply fix", "The app will allow PowerPlatformPlex", "your name")
    await visit.wait_for_text("Fixed 1 firewall.", within="body")
    await visit.confirm_action(re.compile(r"Retry \d+ blocked flows?"))


async def check_expired_session(visit: Visit, remediation: str) -> None:
    """Check that a page reports an expired session, and keeps its form."""
    page = visit.page
    await visit.open(f"/remediations/{remediation}")
    form = page.locator("#actions details.deed", has_text="Roll back all flows")
    await form.locator("summary").click()
    await tick_required_boxes(form)
    await page.context.clear_cookies()
    await visit.wait_for_text("Your session has expired", within="#live-message")
    await visit.check()

    await form.get_by_role("button", name="Roll back all flows").click()
    await visit.wait_for_text("Nothing was changed.")
    await visit.check()
    async with page.context.expect_page() as apply_firewall_fix:
        await page.get_by_role("link", name="Sign in", exact=True).click()
    tab = await apply_firewall_fix.value
    await tab.get_by_role("link", name=ACCOUNT).click()
    await tab.wait_for_url(f"{visit.url}/api/dashboard")
    await tab.close()
    await page.get_by_role("button", name="Send again").click()
    await page.wait_for_url(
        f"{visit.url}/api/dashboard/remediations/{remediation}?completed_action=rollback*"
    )


async def check_forged_request(visit: Visit) -> None:
    """Check that a form from another site has no effect."""
    await visit.page.goto("about:blank")
    await visit.page.set_content(
        f'<form method="post" action="{visit.url}/api/remediations/any/cancel"><button>Win</button>'
    )
    await visit.page.get_by_role("button").click()
    await visit.wait_for_text("You are not signed in.")
    assert not await visit.page.get_by_role("button").count()
