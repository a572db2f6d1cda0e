import os
import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")

from playwright.async_api import Browser

from tests.browser.renderer import open_page_with

CHROMIUM, RENDERERS = os.environ.get("CHROMIUM", ""), os.environ.get("RENDERERS", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and RENDERERS), reason="needs CHROMIUM and RENDERERS: `make browser`"
    ),
]
ROOT = Path(__file__).parents[2]
#: Pixels that a page has for a picture. A wider one is shown smaller, and its text with it.
PAGE_WIDTH = 850
#: The smallest text that people read without effort, in pixels.
SMALLEST_TEXT = 10
DRAW = """async source => {
  mermaid.initialize({startOnLoad: false});
  try {
    const {svg} = await mermaid.render('drawn', source);
    document.body.innerHTML = svg;
    const drawn = document.querySelector('svg');
    const texts = [...drawn.querySelectorAll('text, foreignObject span, foreignObject p')];
    return {
      error: '',
      words: drawn.textContent,
      width: drawn.viewBox.baseVal.width,
      text: Math.min(...texts.map(one => parseFloat(getComputedStyle(one).fontSize))),
    };
  } catch (error) {
    return {error: String(error.message || error), words: '', width: 0, text: 0};
  }
}"""


def read_diagrams() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [
        (page.name, source)
        for page in pages
        for source in re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.DOTALL | re.M)
    ]


async def test_every_diagram_of_the_documents_is_drawn_in_a_readable_size(browser: Browser) -> None:
    """A page would show an error instead of a diagram that mermaid cannot parse."""
    drawn = read_diagrams()
    assert len(drawn) > 5
    async with open_page_with(browser, Path(RENDERERS) / "mermaid/dist/mermaid.min.js") as page:
        for name, source in drawn:
            result = await page.evaluate(DRAW, source)

            assert result["error"] == "", (name, source)
            assert result["words"].strip(), (name, source)
            assert name != "README.md" or result["width"] <= PAGE_WIDTH, source
            shown = result["text"] * min(1, PAGE_WIDTH / result["width"])
            assert shown >= SMALLEST_TEXT, (name, round(result["width"]), source)


async def test_invalid_diagram_is_found(browser: Browser) -> None:
    """Otherwise, the test of all diagrams could not fail."""
    async with open_page_with(browser, Path(RENDERERS) / "mermaid/dist/mermaid.min.js") as page:
        result = await page.evaluate(DRAW, "flowchart TD\n  a --> --> b\n")

    assert result["error"] != ""
