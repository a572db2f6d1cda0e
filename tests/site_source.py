"""Copy the documents into a folder from which MkDocs builds the documentation site.

python -m tests.site_source FOLDER

The pages keep their places, so that the links between them still work. MkDocs, unlike other
Markdown viewers, needs four spaces for a nested list and an empty line before a list. A link to a
file that is not a document becomes its text.
"""

import argparse
import os
import re
import shutil
from pathlib import Path

from tests.documented_commands import PAGES, ROOT

ALL_PAGES = (*PAGES, ROOT / "CHANGELOG.md")
#: Kinds of files in docs/ that pages show or offer.
SHOWN = {".png", ".svg", ".json", ".yml"}
_ITEM = re.compile(r" *(?:[*-]|\d+\.) ")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(?:#[^)]*)?\)")


def copy_documents(folder: Path) -> None:
    """Replace a folder by a copy of the documents and of the pictures that they show."""
    shutil.rmtree(folder, ignore_errors=True)
    shown = [path for path in (ROOT / "docs").rglob("*") if path.suffix in SHOWN]
    for path in (*ALL_PAGES, *shown):
        there = folder / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            there.write_text(convert_page(path.read_text(), path))
        else:
            shutil.copy(path, there)


def convert_page(text: str, path: Path) -> str:
    """Return a page's text in the form that MkDocs needs."""
    lines: list[str] = []
    is_code = is_list = False
    for line in text.splitlines():
        if is_code or line.lstrip().startswith("```"):
            is_code ^= line.lstrip().startswith("```")
            lines.append(_indent_line(line) if is_list else line)
            continue
        if _ITEM.match(line) and not is_list and lines and lines[-1]:
            lines.append("")
        is_list = bool(_ITEM.match(line) or (is_list and (not line or line.startswith(" "))))
        if line.startswith("|") and lines and lines[-1] and not lines[-1].startswith("|"):
            lines.append("")
        lines.append(_LINK.sub(lambda link: _convert_link(link, path), _indent_line(line)))
    if "```mermaid" in text:
        # The theme would load it from another host.
        script = os.path.relpath(ROOT / "docs/mermaid.min.js", path.parent)
        lines += ["", f'<script src="{script}"></script>']
    return "\n".join(lines) + "\n"


def _indent_line(line: str) -> str:
    """Return a line with four spaces for each level of a list."""
    spaces = len(line) - len(line.lstrip(" "))
    return " " * (4 * ((spaces + 2) // 3)) + line.lstrip(" ")


def _convert_link(link: re.Match[str], path: Path) -> str:
    target = (path.parent / link[2]).resolve()
    is_shown = target in ALL_PAGES or (ROOT / "docs" in target.parents and target.suffix in SHOWN)
    return link[0] if "://" in link[2] or is_shown else link[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    copy_documents(parser.parse_args().folder)


if __name__ == "__main__":
    main()
