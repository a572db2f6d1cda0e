"""Test the accessibility of every page and report with axe-core."""

import os
from typing import Literal

import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser

from tests.browser.shown_pages import EXCESS_WIDTH, OPEN_ALL, Viewer, open_viewer
from tests.functional.scenarios.dashboard_stages import visit_stages
from tests.functional.scenarios.page_visitor import ShownPage

CHROMIUM, AXE = os.environ.get("CHROMIUM", ""), os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (CHROMIUM and AXE), reason="needs CHROMIUM and AXE: `make browser`"),
]
#: Flows of a company: each kind of flow, caller and cause once.
FLOWS = 30
#: Pixels of CSS: of a desk, of the same at 200 % zoom, and of a small phone.
DESK, ZOOMED, PHONE = 1280, 640, 320
ALL_RULES = "{}"
#: The rules whose result depends on colours, and the others.
COLOURS = "{runOnly: ['color-contrast', 'link-in-text-block']}"
LAYOUT = "{rules: {'color-contrast': {enabled: false}}}"
FAULTY = """<!doctype html><html lang="en"><title>Faulty</title><main><h1>Faulty</h1>
<p style="color:#ccc;background:#fff">Faint</p><div style="width:392px">Wide</div></main>"""
RUN_AXE = """axe.run(RULES).then(found => found.violations.map(
  one => [one.id, one.nodes.slice(0, 3).map(node => node.html)]
))"""


#: Names of dark displays, and whether they force colours.
_DARK: tuple[tuple[str, Literal["none", "active"]], ...] = (
    ("dark", "none"),
    ("forced colours", "active"),
)


async def find_faults(tab: Viewer) -> list[str]:
    """Return the violations that axe-core finds, and the widths at which the page is too wide."""
    page = tab.page
    faults = []
    for width, rules in ((PHONE, ALL_RULES), (ZOOMED, LAYOUT), (DESK, ALL_RULES)):
        await page.set_viewport_size({"width": width, "height": 900})
        faults += [
            f"{width}: {one}" for one in await page.evaluate(RUN_AXE.replace("RULES", rules))
        ]
        if (excess := await page.evaluate(EXCESS_WIDTH)) > 0:
            faults.append(f"{width}: {excess} pixels too wide")
    for name, forced in _DARK:
        await page.emulate_media(color_scheme="dark", forced_colors=forced)
        faults += [
            f"{name}: {one}" for one in await page.evaluate(RUN_AXE.replace("RULES", COLOURS))
        ]
    await page.emulate_media(color_scheme="light", forced_colors="none")
    return faults


async def test_every_page_is_accessible_at_every_stage(browser: Browser, axe: str) -> None:
    faults = []
    seen = set[str]()
    async with open_viewer(browser, DESK) as tab:
        async for pages in visit_stages(FLOWS):
            for shown in pages:
                if shown.text not in seen:
                    seen.add(shown.text)
                    await tab.open(shown)
                    await tab.page.evaluate(OPEN_ALL)
                    await tab.page.evaluate(axe)
                    faults += [f"{shown.name}, {one}" for one in await find_faults(tab)]
    assert faults == []
    assert tab.errors == []


async def test_fault_of_a_page_is_found(browser: Browser, axe: str) -> None:
    """Otherwise, the test of all pages could not fail."""
    shown = ShownPage(name="faulty", path="/", status=200, headers={}, text=FAULTY)
    async with open_viewer(browser, DESK) as tab:
        await tab.open(shown)
        await tab.page.evaluate(axe)
        faults = await find_faults(tab)

    assert any("320: 80 pixels too wide" in one for one in faults)
    assert any("color-contrast" in one for one in faults)
