import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="needs playwright: `make browser`")
from playwright.async_api import Browser

from tests.browser.shown_pages import EXCESS_WIDTH, OPEN_ALL, Viewer, open_viewer
from tests.functional.planning.test_support_requests import open_support_request
from tests.functional.scenarios.dashboard_stages import visit_stages
from tests.functional.scenarios.page_visitor import ShownPage, Visitor
from tests.functional.scenarios.remediation_scenario import Scenario

CHROMIUM = os.environ.get("CHROMIUM", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM, reason="needs CHROMIUM: `make browser`"),
]
#: Flows of a company: each kind of flow, caller and cause once.
FLOWS = 30
WIDTH, HEIGHT = 390, 844
#: Smallest height of what a finger presses, in pixels. Links within a text are exempt.
PRESSED = """[...document.querySelectorAll(
  '.button, summary, select, .tick, .field input[type=text], .tools input:not([type=checkbox]),'
  + ' .top a, .tabs a, .filter a, .crumbs a, .pages a, #live a, .lines b > a'
)].filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 39.5)
  .map(one => `${one.className} ${one.textContent.trim().slice(0, 30)}: `
    + one.getBoundingClientRect().height)"""
#: Left and right edges of the fields of a filter.
EDGES = """[...document.querySelectorAll('.tools.card label > :is(input, select)')]
  .map(one => one.getBoundingClientRect()).map(box => `${box.left} to ${box.right}`)"""
HEADER = "document.querySelector('header.top')?.getBoundingClientRect().height ?? 0"
#: Parts of a page that touch the card above them.
TOUCHING = """[...document.querySelectorAll('.card')].flatMap(card => {
  const bottom = card.getBoundingClientRect().bottom;
  const next = card.nextElementSibling ?? card.parentElement.nextElementSibling;
  if (!next || !next.checkVisibility() || card.closest('.panel, .two')) return [];
  if (getComputedStyle(next).position !== 'static') return [];
  const distance = next.getBoundingClientRect().top - bottom;
  const touches = next.textContent.trim() && distance >= 0 && distance < 6;
  return touches ? [next.outerHTML.slice(0, 80)] : [];
})"""
#: Parts of a page that scroll sideways, besides the navigation.
SIDEWAYS = """[...document.querySelectorAll('main, main *')]
  .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
  .filter(one => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))
  .map(one => one.outerHTML.slice(0, 120))"""
CUT_DIAGRAMS = """[...document.querySelectorAll('figure')]
  .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth).length"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pages() -> dict[str, ShownPage]:
    return {page.name: page async for stage in visit_stages(FLOWS) for page in stage}


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser) -> AsyncIterator[Viewer]:
    async with open_viewer(browser, WIDTH, HEIGHT) as tab:
        yield tab


async def find_wrong_results(
    phone: Viewer, pages: dict[str, ShownPage], script: str, is_wrong: Callable[[Any], bool] = bool
) -> dict[str, Any]:
    """Run a script on each page with all details open. Return the wrong results by page."""
    found = {}
    for name, shown in pages.items():
        await phone.open(shown)
        await phone.page.evaluate(OPEN_ALL)
        if is_wrong(answer := await phone.page.evaluate(script)):
            found[name] = answer
    return found


async def test_what_a_finger_presses_is_forty_pixels_high(
    phone: Viewer, pages: dict[str, ShownPage]
) -> None:
    """The height does not apply to links within a text."""
    assert await find_wrong_results(phone, pages, PRESSED) == {}


async def test_fields_of_a_filter_have_the_same_edges(
    phone: Viewer, pages: dict[str, ShownPage]
) -> None:
    assert await find_wrong_results(phone, pages, EDGES, lambda edges: len(set(edges)) > 1) == {}


async def test_header_has_two_lines(phone: Viewer, pages: dict[str, ShownPage]) -> None:
    assert await find_wrong_results(phone, pages, HEADER, lambda height: height > 90) == {}


async def test_header_of_a_wide_screen_has_one_line_with_the_whole_name(
    phone: Viewer, pages: dict[str, ShownPage]
) -> None:
    await phone.page.set_viewport_size({"width": 1280, "height": 900})
    await phone.open(pages["status-for-reader"])
    name = phone.page.locator(".who b")

    assert await phone.page.evaluate(HEADER) < 60
    assert await name.evaluate("one => one.scrollWidth <= one.clientWidth")


async def test_navigation_shows_the_page_that_is_open(
    phone: Viewer, pages: dict[str, ShownPage]
) -> None:
    for name in ("settings-done", "audit-done", "status-done"):
        await phone.open(pages[name])
        box = await phone.page.locator(".top [aria-current]").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= WIDTH


async def test_nothing_touches_the_card_above(phone: Viewer, pages: dict[str, ShownPage]) -> None:
    assert await find_wrong_results(phone, pages, TOUCHING) == {}


async def test_nothing_scrolls_sideways(phone: Viewer, pages: dict[str, ShownPage]) -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await scenario.opt_in()
    visitor = Visitor(scenario)
    query = {"request": (await open_support_request(scenario)).id}
    await visitor.show("draft", "/support-requests", query)
    [draft] = visitor.take_pages()

    every = {**pages, draft.name: draft}

    assert "<pre>" in draft.text
    assert await find_wrong_results(phone, every, SIDEWAYS) == {}
    assert await find_wrong_results(phone, every, EXCESS_WIDTH, lambda excess: excess > 0) == {}


async def test_no_diagram_is_cut(phone: Viewer, pages: dict[str, ShownPage]) -> None:
    assert await find_wrong_results(phone, pages, CUT_DIAGRAMS) == {}
    await phone.open(pages["remediation-blocked"])
    await phone.page.evaluate(OPEN_ALL)
    assert await phone.page.locator(".dependent .calls:visible").count() == 3


@pytest.mark.parametrize(("width", "height"), [(WIDTH, HEIGHT), (1280, 900)])
async def test_flows_that_were_searched_are_in_the_first_screen(
    phone: Viewer, pages: dict[str, ShownPage], width: int, height: int
) -> None:
    await phone.page.set_viewport_size({"width": width, "height": height})
    await phone.open(pages["plan-found"])
    bar = await phone.page.locator(".approve").bounding_box()
    flow = await phone.page.locator("#rows > li").first.bounding_box()
    assert bar
    assert flow
    assert flow["y"] + flow["height"] <= bar["y"]


async def test_bar_of_a_plan_stays_in_view_only_for_those_who_may_approve(
    phone: Viewer, pages: dict[str, ShownPage]
) -> None:
    """For other people, the bar would only cover the plan."""
    for name, position in (("plan-awaiting", "sticky"), ("plan-for-reader", "static")):
        await phone.open(pages[name])
        bar = phone.page.locator(".approve")
        assert await bar.evaluate("one => getComputedStyle(one).position") == position
