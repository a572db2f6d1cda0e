"""List every command that the documents ask a person to type, with whether it needs Azure.

A command is a line of a fenced block, or inline code of at least two words. The words *Needs Azure*
in a section mark all commands of this section and of the sections below it. The comment `# needs
Azure` marks the command on its line.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for folder in ("docs", "local_cloud") for page in sorted((ROOT / folder).rglob("*.md"))),
)
_PROGRAMS = r"(?:cmkflow|make|pip|pipx|uv|git|curl|az|azd|func)\s+\S|python\s+(?:-m|\S+\.py)\s"
#: Of PowerShell, with the verbs that Power Platform's modules use.
_CMDLET = r"(?:Add|Get|New|Remove|Set)-[A-Z]\w+"
_COMMAND = re.compile(rf"{_PROGRAMS}|{_CMDLET}|.*\$\(")
_OF_AZURE = re.compile(rf"(?:^|\$\()(?:azd?|func)\s|^{_CMDLET}")
_MARK = "needs azure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a document, with its place."""

    page: str
    line: int
    #: As it is typed, without prompt and path of the environment; it may go over several lines.
    text: str
    #: False: it stands in a sentence, where a command's name alone may stand for the command.
    is_fenced: bool
    #: The document says that it needs Azure.
    is_marked: bool

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words into which a shell splits the command.

        Optional words, which documents put in brackets, are included.
        """
        return tuple(shlex.split(re.sub(r"[][]", "", self.text), comments=True))

    @property
    def needs_azure(self) -> bool:
        """Return whether the command, or its `$(…)`, calls a program of Azure or Power Platform."""
        return bool(_OF_AZURE.search(self.text))

    def __str__(self) -> str:
        """Return the command's place, such as `docs/demo.md:9`."""
        return f"{self.page}:{self.line}"


def list_documented_commands() -> list[Command]:
    """Return the commands of all documents, in the order of the pages and lines."""
    return [command for path in PAGES for command in _Reader(path).find_commands()]


@dataclass(slots=True)
class _Reader:
    """Reads one page from top to bottom, and knows which sections need Azure."""

    path: Path
    #: For the text before any heading, then for each level of headings down to here.
    marks: list[bool] = field(default_factory=lambda: [False])

    def find_commands(self) -> Iterator[Command]:
        fence, block = None, ""
        for number, line in enumerate(self.path.read_text().splitlines(), start=1):
            if opened := re.match(r" *```(\w*)", line):
                fence = opened[1] if fence is None else None
            elif fence is None:
                self._look_for_mark(line)
                for code in re.findall(r"`([^`]+)`", line):
                    if _COMMAND.match(text := _strip_prompt(code)):
                        yield self._build_command(number, text, is_fenced=False)
            elif fence in {"", "sh", "powershell"}:
                block = f"{block}\n{line}" if block else _strip_prompt(line)
                if fence == "" and not _COMMAND.match(block):
                    block = ""  # what a command prints
                elif block and _is_whole(block):
                    yield self._build_command(number, block, is_fenced=True)
                    block = ""

    def _look_for_mark(self, line: str) -> None:
        if heading := re.match(r"#+ ", line):
            above = self.marks[: len(heading[0]) - 1]
            self.marks = [*above, *[False] * (len(heading[0]) - len(above))]
        self.marks[-1] |= _MARK in line.lower()

    def _build_command(self, line: int, text: str, *, is_fenced: bool) -> Command:
        return Command(
            page=str(self.path.relative_to(ROOT)),
            line=line,
            text=text,
            is_fenced=is_fenced,
            is_marked=any(self.marks) or f"# {_MARK}" in text.lower(),
        )


def _strip_prompt(code: str) -> str:
    return code.strip().removeprefix("$ ").removeprefix(".venv/bin/")


def _is_whole(block: str) -> bool:
    """Return whether the lines of a block are a complete command: every quotation mark has its
    counterpart.
    """
    try:
        shlex.split(block, comments=True)
    except ValueError:
        return False
    return True
