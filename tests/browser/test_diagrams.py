"""Every diagram of the documents, drawn by mermaid as a page of Markdown shows it."""

import os
import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")

from playwright.async_api import Browser

from tests.browser.renderer import page_with

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


def diagrams() -> list[tuple[str, str]]:
    """Return each diagram with its page."""
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [
        (page.name, source)
        for page in pages
        for source in re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.DOTALL | re.M)
    ]


async def test_every_diagram_of_the_documents_is_drawn_and_can_be_read(browser: Browser) -> None:
    """A diagram that mermaid cannot read would be shown as an error."""
    drawn = diagrams()
    assert len(drawn) > 5
    async with page_with(browser, Path(RENDERERS) / "mermaid/dist/mermaid.min.js") as page:
        for name, source in drawn:
            result = await page.evaluate(DRAW, source)

            assert result["error"] == "", (name, source)
            assert result["words"].strip(), (name, source)
            assert name != "README.md" or result["width"] <= PAGE_WIDTH, source
            shown = result["text"] * min(1, PAGE_WIDTH / result["width"])
            assert shown >= SMALLEST_TEXT, (name, round(result["width"]), source)


async def test_a_diagram_that_mermaid_cannot_read_is_found(browser: Browser) -> None:
    """This proves that the test above can fail."""
    async with page_with(browser, Path(RENDERERS) / "mermaid/dist/mermaid.min.js") as page:
        result = await page.evaluate(DRAW, "flowchart TD\n  a --> --> b\n")

    assert result["error"] != ""
