import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = "docs/platform.md"
#: `platform.md#reads-lag`; several facts follow one another: `platform.md#reads-lag, #long-names`.
REFERENCE = re.compile(r"platform\.md(#[a-z0-9-]+(?:,\s+(?:#:? )?#[a-z0-9-]+)*)")
EVIDENCE = {"Documented", "Client source", "Recorded", "Reported", "Assumed"}
#: Names of documents that are not part of the repository.
OUTSIDE = re.compile(r"[p]latform-contract|[f]unctions-host(?:\.md| document)|[Cc]ontract \d+\.\d")


@cache
def read_texts() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    found = {}
    for name in filter(None, listed):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            found[name] = content.decode()
    return found


def read_facts() -> dict[str, str]:
    """Return the text of each fact by its heading's anchor, as GitHub forms it."""
    _, *parts = re.split(r"^### (.+)\n", read_texts()[PAGE], flags=re.MULTILINE)
    headings, bodies = parts[::2], parts[1::2]
    anchors = [re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings]
    assert len(set(anchors)) == len(anchors)
    return dict(zip(anchors, bodies, strict=True))


def find_references() -> dict[str, str]:
    """Return, for each cited anchor, a file that cites it."""
    this = str(Path(__file__).relative_to(ROOT))
    return {
        anchor: name
        for name, text in read_texts().items()
        if name not in {PAGE, this}
        for reference in REFERENCE.findall(text)
        for anchor in re.findall(r"#([a-z0-9-]+)", reference)
    }


def test_reference_over_two_lines_is_found() -> None:
    """A reference in a comment may continue after the comment mark of the next line."""
    text = "#: A fact (platform.md#reads-lag,\n#: #long-names)."

    assert REFERENCE.findall(text) == ["#reads-lag,\n#: #long-names"]


def test_every_fact_names_its_evidence() -> None:
    explained = set(re.findall(r"^\| \*\*(.+?)\*\* \|", read_texts()[PAGE], re.MULTILINE))
    levels = {
        anchor: set(re.findall(r"\*\*(.+?)\*\*", text)) for anchor, text in read_facts().items()
    }

    assert explained == EVIDENCE
    assert {anchor for anchor, named in levels.items() if not named & EVIDENCE} == set()
    assert set().union(*levels.values()) == EVIDENCE


def test_every_reference_leads_to_a_fact() -> None:
    """If a fact is renamed or removed, the references to it must be changed."""
    known = read_facts()

    assert {anchor: name for anchor, name in find_references().items() if anchor not in known} == {}


def test_every_fact_is_cited() -> None:
    """A fact on which nothing relies is removed from the page."""
    assert set(read_facts()) - set(find_references()) == set()


@pytest.mark.parametrize("pattern", [re.compile("\N{SECTION SIGN}"), OUTSIDE])
def test_no_reference_leads_out_of_the_repository(pattern: re.Pattern[str]) -> None:
    """A reader does not have the external document to which a section number would refer."""
    assert [name for name, text in read_texts().items() if pattern.search(text)] == []
