"""Open a page in which a renderer from npm shows the app's texts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

# Only `make browser` has it.
pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser, Page


@asynccontextmanager
async def open_page_with(browser: Browser, script: Path) -> AsyncIterator[Page]:
    """Yield an empty, offline page in which a script has run."""
    page = await browser.new_page(offline=True)
    await page.set_content("<!doctype html><title>renderer</title><body></body>")
    await page.add_script_tag(path=script)
    yield page
    await page.close()
