import re
from html.parser import HTMLParser
from pathlib import Path
from typing import override

import pytest

from functions.dashboard.live_sections import add_hashes, select_changed_sections

TEMPLATES = sorted((Path(__file__).parents[2] / "functions/dashboard").glob("*.j2"))


def build_page(*rows: str, answer: str = "One", title: str = "Flows") -> str:
    items = "".join(f"<li data-part><b>{row}</b></li><!--/part-->" for row in rows)
    return add_hashes(
        f'<title>{title}</title><p>Never sent</p><div class="head" id="answer" data-live>'
        f'<div>{answer}</div></div><!--/answer--><section id="rows" data-live aria-label="Rows">'
        f"<ul>{items}</ul></section><!--/rows-->"
    )


def list_hashes(page: str) -> str:
    """Return the hashes that a browser sends while it shows this page."""
    return " ".join(re.findall(r'data-(?:live|part)="(\w+)"', page))


class _Texts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    @override
    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_unchanged_page_sends_no_section() -> None:
    page = build_page("Orders", "Bills")

    assert select_changed_sections(page, list_hashes(page)) == ""


def test_only_changed_sections_are_sent_with_the_title() -> None:
    known = list_hashes(build_page("Orders"))

    sent = select_changed_sections(build_page("Orders", answer="Two", title="Flows!"), known)

    assert _Texts(sent).found == ["Flows!", "\n", "Two"]
    assert 'id="answer"' in sent
    assert 'id="rows"' not in sent


def test_unchanged_row_is_sent_as_its_hash() -> None:
    before = build_page("Orders", "Bills")
    after = build_page("New", "Bills", "Orders")
    orders, bills = re.findall(r'<li data-part="(\w+)"', before)

    sent = select_changed_sections(after, list_hashes(before))

    assert "Orders" not in sent
    assert "Bills" not in sent
    new = re.findall(r'<li data-part="\w+"><b>New</b></li>', sent)
    assert len(new) == 1
    same = f'<li data-part="{bills}"></li><li data-part="{orders}"></li>'
    assert same in sent.replace("<!--/part-->", "")


def test_sections_with_equal_content_have_different_hashes() -> None:
    page = add_hashes('<div id="a" data-live></div><!--/a--><div id="b" data-live></div><!--/b-->')
    first, second = list_hashes(page).split()

    assert first != second
    assert 'id="b"' in select_changed_sections(page, first)
    assert 'id="a"' not in select_changed_sections(page, first)


def test_a_browser_without_hashes_gets_every_section() -> None:
    """A browser with unknown hashes shows another page, so it also gets every section."""
    page = build_page("Orders")

    assert select_changed_sections(page, "") == select_changed_sections(page, "0123456789 x")
    assert _Texts(select_changed_sections(page, "")).found == ["Flows", "\n", "One", "\n", "Orders"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.name)
def test_every_section_of_a_template_has_an_end_marker(template: Path) -> None:
    """Without the marker, a section would be sent at every update."""
    text = template.read_text()

    begun = re.findall(r'<(?:div|section) [^>]*id="([^"]+)" data-live', text)
    assert begun == re.findall(r"<!--/((?!part-->).+?)-->", text)
    assert len(begun) == text.count(" data-live")
    assert text.count(" data-part>") == text.count("<!--/part-->")
