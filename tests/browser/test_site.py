import os
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")

from playwright.async_api import Browser

SITE = Path(os.environ.get("SITE", "")).absolute()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif("SITE" not in os.environ, reason="needs SITE: `make browser`"),
]
#: The pages of the site, and widths of a desktop and of a phone in pixels.
PAGES = sorted(SITE.rglob("*.html")) if "SITE" in os.environ else []
WIDTHS = (1280, 390)
LOOK = """() => ({
  broken: [...document.images].filter(one => !one.naturalWidth).map(one => one.src),
  undrawn: document.querySelectorAll('pre.mermaid').length,
  flat: [...document.querySelectorAll('div.mermaid')].filter(one => one.offsetHeight < 40).length,
  overflow: document.documentElement.scrollWidth - innerWidth,
})"""


async def test_site_shows_every_picture_and_diagram_on_desktop_and_phone(browser: Browser) -> None:
    assert len(PAGES) > 50
    page = await browser.new_page()
    foreign: list[str] = []
    page.on(
        "request",
        lambda one: None if one.url.startswith(("file:", "data:")) else foreign.append(one.url),
    )
    for path in PAGES:
        await page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        await page.goto(path.as_uri())
        await page.wait_for_function("!document.querySelector('pre.mermaid')")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            shown = await page.evaluate(LOOK)
            assert shown == {"broken": [], "undrawn": 0, "flat": 0, "overflow": 0}, (path, width)
    assert foreign == []
    await page.close()
