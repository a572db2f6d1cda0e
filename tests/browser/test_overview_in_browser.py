import os
from pathlib import Path

import aiohttp
import pytest

from local_cloud.demo.tenant import OPERATIONS

pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser

from tests.browser.test_dashboard_in_browser import ACCOUNT, Outside
from tests.browser.visit import open_visit
from tests.e2e.test_first_hour import run_make_up

CHROMIUM, AXE = os.environ.get("CHROMIUM", ""), os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (CHROMIUM and AXE), reason="needs CHROMIUM and AXE: `make browser`"),
]


async def test_kill_switch_and_dry_run_work_on_the_pages(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    async with run_make_up(tmp_path / "up") as text, aiohttp.ClientSession() as session:
        url = Outside(session, text).url
        async with open_visit(browser, url, ACCOUNT, axe) as visit:
            await visit.wait_for_text("8 flows are not migrated")
            await visit.confirm_action(
                "Stop changes", "The app makes no further change", justification="A drill."
            )
            await visit.wait_for_text("Changes are stopped", within=".banner")
            await visit.wait_for_text("A drill.", within=".banner")
            await visit.check()
            await visit.confirm_action(
                "Turn off kill switch", "Approved plans start", justification="Over."
            )
            await visit.wait_for_text("The kill switch is off.", within=".said")

            await visit.open("/environments?all_environments=true")
            await visit.wait_for_text(OPERATIONS.title)
            for width in (1280, 390, 320):
                await visit.page.set_viewport_size({"width": width, "height": 800})
                await visit.check()
            fold = visit.page.locator("details.fold", has_text=OPERATIONS.title)
            await fold.locator("summary").first.click()
            await fold.locator("details.deed", has_text="Start dry run").locator("summary").click()
            await visit.check()
            await fold.get_by_role("button", name="Start dry run").click()
            await visit.wait_for_text("The remediation has started.", within=".said")

            await visit.open()
            await visit.wait_for_text("Dry run completed")
            await visit.check()
            visit.require_no_fault()
            for path in ("/network", "/settings"):
                await visit.open(path)
                for width in (1280, 390, 320):
                    await visit.page.set_viewport_size({"width": width, "height": 800})
                    await visit.check()
            await visit.open("/nowhere")
            await visit.wait_for_text("Not found")
            await visit.check()
