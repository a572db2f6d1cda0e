import re
from pathlib import Path

from tests.documented_commands import ROOT
from tests.site_source import ALL_PAGES, convert_page, copy_documents

PAGE = ROOT / "docs" / "page.md"


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    """Decisions are an exception: their list links to them."""
    listed = re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    wanted = {str(path.relative_to(ROOT)) for path in ALL_PAGES}

    assert len(listed) == len(set(listed))
    assert set(listed) == {path for path in wanted if not path.startswith("docs/adr/0")}


def test_list_gets_an_empty_line_before_it_and_four_spaces_for_each_level() -> None:
    """Without the line and the spaces, MkDocs would show the items in one paragraph."""
    text = "Do:\n* one\n  more\n  1. first\n     more\n\n  ```sh\n  ls\n  ```\nEnd\n"

    assert convert_page(text, PAGE) == (
        "Do:\n\n* one\n    more\n    1. first\n        more\n\n    ```sh\n    ls\n    ```\nEnd\n"
    )


def test_table_after_a_sentence_gets_an_empty_line() -> None:
    """MkDocs needs the line to recognise a table."""
    text = "See:\n| a |\n|---|\n```\nx\n| b |\n* c\n```\n"

    assert convert_page(text, PAGE) == "See:\n\n| a |\n|---|\n```\nx\n| b |\n* c\n```\n"


def test_link_to_a_file_outside_the_documents_becomes_its_text() -> None:
    """The site does not contain such a file."""
    kept = "[a](settings.md#settings) [b](https://x.example/y) ![c](demo-report.png)"

    assert convert_page(f"{kept} [the template](../infra/snapshots)\n", PAGE) == (
        f"{kept} the template\n"
    )


def test_documents_and_pictures_are_copied_with_their_paths(tmp_path: Path) -> None:
    """The folder is emptied first, so removed pages disappear."""
    (tmp_path / "site" / "old").mkdir(parents=True)

    copy_documents(tmp_path / "site")

    files = {str(path.relative_to(tmp_path / "site")) for path in tmp_path.rglob("*.*")}
    assert {"README.md", "docs/runbook.md", "docs/images/dashboard-plan.png"} <= files
    assert not (tmp_path / "site" / "old").exists()
    assert not [name for name in files if name.endswith(".py")]
