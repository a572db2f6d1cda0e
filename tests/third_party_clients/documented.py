"""The table of what works, in `docs/local-tenant.md`: written by the run, and held to it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "local-tenant.md"


def hold_document_to(client: str, version: str, rows: Sequence[tuple[str, str]]) -> None:
    """Compare a client's section with what it did now; `OUTSIDERS_WRITE` writes it anew."""
    section = _section(client, version, rows)
    page = _PAGE.read_text()
    heading = re.escape(f"## {client}\n")
    written = re.search(rf"^{heading}.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    if "OUTSIDERS_WRITE" in os.environ:
        old = written[0] if written else ""
        _PAGE.write_text(page.replace(old, section) if old else f"{page.rstrip()}\n\n{section}")
    else:
        assert written, f"{_PAGE.name} has no section of {client}: make outsiders WRITE=1"
        assert written[0].rstrip() == section.rstrip()


def _section(client: str, version: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| `{call}` | {answer} |" for call, answer in rows]
    head = [f"## {client}", f"{version}.", "", "| Call | Answer |", "|---|---|"]
    return "\n".join([*head, *lines]) + "\n\n"
