"""Lay out text that is not a table: headlines, labelled paragraphs, findings and commands."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from cmkflow.terminal import Terminal, remove_unprintable

#: Sentences are not wider, also in wider terminals.
_WIDTH = 80
#: Width of a headline, and the largest one.
_WIDEST = 100
_LABEL = 7
_RESOURCE = re.compile(
    r"(?:[a-z_]+:)?/subscriptions/[^\s,;]*?/([^\s,;/#]+)(?:#[^\s,;]*)?(?=[\s,;]|$)"
)
_ID = re.compile(r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def shorten_resource_ids(text: str) -> str:
    """Shorten each Azure resource id in a text to the resource's name."""
    return _RESOURCE.sub(r"\1", text)


def shorten_ids_in_command(command: str) -> str:
    """Shorten each id in a command to its first characters."""
    return _ID.sub(r"\1", command)


def format_argument(name: str, identity: str) -> str:
    """Return a name as a command's argument, or the start of the id if the name is too long or
    unusual.
    """
    if not re.fullmatch(r"[\w .,()-]{1,40}", name) or name.startswith("-"):
        return identity[:8]
    return name if re.fullmatch(r"[\w.-]+", name) else f'"{name}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A line with a subject on the left and its state on the right."""

    left: str
    right: str = ""
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _WIDEST) if console.is_terminal else _WIDTH
        left, right = (
            Text(remove_unprintable(self.left), style="bold"),
            Text(remove_unprintable(self.right)),
        )
        left.truncate(max(0, width - right.cell_len - 2 * bool(self.right)), overflow="ellipsis")
        right.stylize(self.style)
        if self.right:
            left.pad_right(width - left.cell_len - right.cell_len)
        yield Text.assemble(left, right, no_wrap=True, overflow="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A label and a text. All lines of the text are indented alike."""

    text: str
    label: str = ""
    indent: int = 2
    #: Number of lines after which the text is cut; None for all.
    max_lines: int | None = None
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield wrapped lines for a terminal, or one unwrapped line for other outputs."""
        lead = " " * self.indent + (f"{self.label:<{_LABEL}}" if self.label else "")
        text = Text(remove_unprintable(self.text), style=self.style)
        if not console.is_terminal:
            yield Text.assemble(lead, text)
            return
        width = max(20, min(options.max_width, _WIDTH) - len(lead))
        lines = list(text.wrap(console, width))
        if self.max_lines and len(lines) > self.max_lines:
            lines = lines[: self.max_lines]
            lines[-1].rstrip()
            lines[-1].append(" …")
            lines[-1].truncate(width, overflow="ellipsis")
        for number, line in enumerate(lines):
            line.rstrip()
            yield Text.assemble(" " * len(lead) if number else lead, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A label and a command, which is never wrapped or cut, so that it can be copied."""

    label: str
    command: str
    indent: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        command = Text(remove_unprintable(shorten_ids_in_command(self.command)), style="cyan")
        lead = f"{' ' * self.indent}{self.label:<{_LABEL}}"
        yield Text.assemble(lead, command, no_wrap=True, overflow="ignore")


def format_names(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many others there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", +{more}" if more > 0 else "")


def print_next_commands(commands: Iterable[str]) -> None:
    """Print to stderr the commands that a user may want to run next."""
    for command in commands:
        label = "See" if command.endswith(" --full") else "Next"
        Terminal(stderr=True).print(Command(label=label, command=command, indent=0), crop=False)


STYLES = {
    "ok": "green",
    "warning": "yellow",
    "unknown": "bold magenta",
    "problem": "bold red",
}


def format_finding(subject: str, finding: Any) -> Text:
    """Return the level, subject, message and fix of a finding as one text."""
    level = finding["level"]
    text = Text(f"{level:8}", style=STYLES[level])
    text.append(f"{subject.replace('_', ' ')}: {finding['message']}", style="not bold default")
    if finding["fix"]:
        text.append(f" {finding['fix']}", style="dim not bold default")
    return text


def format_number(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 flow` or `2 flows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
