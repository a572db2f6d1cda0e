"""Share one Chromium among the browser tests."""

import inspect
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from playwright.async_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the loop that the browser was started in."""
    for item in items:
        is_here = Path(__file__).parent in item.path.parents
        if is_here and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> "AsyncIterator[Browser]":
    from tests.browser.shown_pages import start_chromium

    async with start_chromium(os.environ["CHROMIUM"]) as browser:
        yield browser


@pytest.fixture
def axe() -> str:
    return Path(os.environ["AXE"]).read_text()
