"""docs/platform.md lists facts, each with its evidence and an anchor."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "platform.md"
EVIDENCE = {"Documented", "Client source", "Recorded", "Reported", "Assumed"}


def facts() -> dict[str, str]:
    """Return the text of each fact by its anchor, as GitHub makes anchors of headings."""
    _, *parts = re.split(r"^### (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    headings, bodies = parts[::2], parts[1::2]
    anchors = [re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings]
    assert len(set(anchors)) == len(anchors)
    return dict(zip(anchors, bodies, strict=True))


def test_every_fact_names_its_evidence() -> None:
    """With one of the five levels that the page explains."""
    explained = set(re.findall(r"^\| \*\*(.+?)\*\* \|", PAGE.read_text(), re.MULTILINE))
    levels = {anchor: set(re.findall(r"\*\*(.+?)\*\*", text)) for anchor, text in facts().items()}

    assert explained == EVIDENCE
    assert {anchor for anchor, named in levels.items() if not named & EVIDENCE} == set()
    assert set().union(*levels.values()) == EVIDENCE
