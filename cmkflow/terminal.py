"""Print to the terminal without control characters and trigger URLs.

Names of flows, files and environments are untrusted: an escape sequence could overwrite earlier
output.
"""

import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from shared.domain import printable as display
from shared.domain.trigger_urls.trigger_url import redact


def remove_unprintable(text: str) -> str:
    """Return a text without control characters, and with trigger URLs redacted."""
    return display.make_printable(redact(text))


#: Width for pipes, where programs read whole lines.
_NEVER_WRAPPED = 1_000_000
_WITH_LINES = {"conversion_preview", "azure_cli", "bicep", "terraform"}


def remove_line_breaks(answer: Any) -> Any:
    """Return an API answer without line breaks in its texts, which could look like further lines of
    output. Diffs and firewall fixes keep their lines.
    """
    match answer:
        case str():
            return " ".join(answer.splitlines())
        case list():
            return [remove_line_breaks(item) for item in answer]
        case dict():
            return {
                key: value if key in _WITH_LINES else remove_line_breaks(value)
                for key, value in answer.items()
            }
    return answer


class Terminal(Console):
    """A console that removes control characters and interprets no markup."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = _NEVER_WRAPPED

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            shown = remove_unprintable(renderable.plain)
            if shown != renderable.plain:
                renderable = renderable.copy()
                renderable.plain = shown
        elif isinstance(renderable, str):
            renderable = remove_unprintable(renderable)
        return super().render(renderable, options)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line to stdout, or with `err` to stderr."""
    typer.echo(remove_unprintable(text), err=err)


def ask(question: str) -> str:
    """Ask the user for a text, on stderr."""
    return str(typer.prompt(remove_unprintable(question), err=True))


def ask_secret(title: str, *, is_new: bool) -> str:
    """Ask the user for a secret, which is not shown. A new secret has to be entered twice."""
    answer: str = typer.prompt(title, hide_input=True, confirmation_prompt=is_new, err=True)
    return answer


def confirm(question: str) -> None:
    """Ask for confirmation, and end the command unless the answer is yes.

    The command exits with 1 after a no, with 2 if there is no answer, and with 130 after an
    interrupt.
    """
    try:
        if typer.confirm(remove_unprintable(question), err=True):
            return
        code, text = 1, "Nothing was changed."
    except typer.Abort:
        is_interrupted = sys.stdin.isatty()
        code = 130 if is_interrupted else 2
        text = (
            "\nInterrupted. Nothing was changed."
            if is_interrupted
            else "Nothing was changed: nobody can answer the question here. Use --yes."
        )
    echo(text, err=True)
    raise typer.Exit(code)
