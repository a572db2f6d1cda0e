"""Take pictures of every page of the dashboard and of every report, for `make screenshots`."""

import argparse
import asyncio
import io
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.async_api import FloatRect

from tests.browser.shown_pages import Viewer, open_viewer, start_chromium
from tests.functional.scenarios.dashboard_stages import visit_stages
from tests.functional.scenarios.page_visitor import ShownPage

type Scheme = Literal["light", "dark"]
SCHEMES: Sequence[Scheme] = ("light", "dark")
#: Pixels: width and height of a desk and of a phone.
SIZES = {1280: 900, 390: 844}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPicture:
    """A screenshot of a page of the dashboard for the documents."""

    page: str
    width: int = 1280
    height: int = 720
    scheme: Scheme = "light"
    #: The part of the page that it shows; empty: its first screen.
    part: str = ""


#: By the name of the file.
DOCUMENT_PICTURES = {
    "dashboard-overview": DocumentPicture(page="status-blocked", height=640),
    "dashboard-plan": DocumentPicture(page="plan-awaiting", height=900),
    "dashboard-remediation": DocumentPicture(page="remediation-blocked", height=800),
    "dashboard-flow": DocumentPicture(page="flow-blocked"),
    "dashboard-graph": DocumentPicture(page="remediation-blocked", part="#graph"),
    "dashboard-phone-dark": DocumentPicture(
        page="remediation-blocked", width=390, height=844, scheme="dark"
    ),
}
#: Pixels; Chromium draws no picture of any height.
LONGEST_PICTURE = 12_000
#: Flows of which the documents show pictures.
DOCUMENT_FLOWS = 30


async def take_pictures(
    folder: Path, chromium: str, flow_counts: Sequence[int], wanted: re.Pattern[str]
) -> None:
    """Take pictures of the pages whose names match `wanted`."""
    async with start_chromium(chromium) as browser, AsyncExitStack() as open_tabs:
        tabs = [
            await open_tabs.enter_async_context(open_viewer(browser, width, height))
            for width, height in SIZES.items()
        ]
        for flow_count in flow_counts:
            there = folder / f"{flow_count}-flows"
            async for pages in visit_stages(flow_count):
                for shown in filter(lambda one: wanted.search(one.name), pages):
                    for tab in tabs:
                        await _take_all(tab, shown, there)


async def _take_all(tab: Viewer, shown: ShownPage, folder: Path) -> None:
    await tab.open(shown)
    width, height = await tab.page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    whole: FloatRect = {"x": 0, "y": 0, "width": width, "height": min(height, LONGEST_PICTURE)}
    for scheme in SCHEMES:
        await tab.page.emulate_media(color_scheme=scheme)
        file = folder / f"{shown.name}-{width}-{scheme}"
        await tab.page.screenshot(path=f"{file}.png")
        await tab.page.screenshot(path=f"{file}-whole.png", full_page=True, clip=whole)


async def take_document_pictures(folder: Path, chromium: str) -> None:
    """Take the pictures that the documents show, with at most 256 colours."""
    async with start_chromium(chromium) as browser, open_viewer(browser, 1280) as tab:
        async for pages in visit_stages(DOCUMENT_FLOWS):
            shown = {one.name: one for one in pages}
            for name, wanted in DOCUMENT_PICTURES.items():
                if wanted.page in shown:
                    taken = await _take_picture(tab, shown[wanted.page], wanted)
                    small = Image.open(io.BytesIO(taken)).convert("RGB").quantize(256)
                    small.save(folder / f"{name}.png", optimize=True)


async def _take_picture(tab: Viewer, shown: ShownPage, wanted: DocumentPicture) -> bytes:
    await tab.page.set_viewport_size({"width": wanted.width, "height": wanted.height})
    await tab.page.emulate_media(color_scheme=wanted.scheme)
    await tab.open(shown)
    taken: bytes = await (
        tab.page.locator(wanted.part).screenshot() if wanted.part else tab.page.screenshot()
    )
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", required=True, help="path of the browser")
    parser.add_argument("--to", type=Path, required=True, help="folder for all pictures")
    parser.add_argument("--documents", type=Path, help="folder for the pictures of the documents")
    parser.add_argument("--flows", type=int, nargs="+", default=[3, 30, 2000])
    parser.add_argument("--only", type=re.compile, default=re.compile(""), help="names of pages")
    options = parser.parse_args()
    if options.documents:
        asyncio.run(take_document_pictures(options.documents, options.chromium))
    asyncio.run(take_pictures(options.to, options.chromium, options.flows, options.only))


if __name__ == "__main__":
    main()
