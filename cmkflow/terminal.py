"""The one way to a person's terminal: what others have named cannot steer it, or tell a secret.

Names of flows, of files and of environments are anybody's text. An escape sequence in one could
rewrite what stands above it, a bidirectional mark could turn an id round, and half a character
ends the output with an error. `-o json` has every text as it is, escaped.
"""

from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from shared.domain import printable as display
from shared.domain.trigger_urls.trigger_url import redact


def printable(text: str) -> str:
    """Return the text as a terminal may show it: it has no control character and no trigger URL."""
    return display.printable(redact(text))


#: As wide as what is no terminal: programs read lines, and break none.
_NEVER_WRAPPED = 1_000_000
_WITH_LINES = {"proposal", "azure_cli", "bicep", "terraform"}


def one_line(answer: Any) -> Any:
    """Return an answer of the API in which no name has lines of its own: one could forge another.

    The difference that a plan proposes has lines, each shown behind a mark; so have repairs, where
    names stand quoted.
    """
    match answer:
        case str():
            return " ".join(answer.splitlines())
        case list():
            return [one_line(item) for item in answer]
        case dict():
            return {
                key: value if key in _WITH_LINES else one_line(value)
                for key, value in answer.items()
            }
    return answer


class Terminal(Console):
    """A console that shows printable text only, and takes no text for markup."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = _NEVER_WRAPPED

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render what can be shown; cells of tables and lines of groups come here one by one."""
        if isinstance(renderable, Text):
            shown = printable(renderable.plain)
            if shown != renderable.plain:
                renderable = renderable.copy()
                renderable.plain = shown
        elif isinstance(renderable, str):
            renderable = printable(renderable)
        return super().render(renderable, options)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line; `err` is for what programs that read the answer should not see."""
    typer.echo(printable(text), err=err)


def confirm(question: str) -> None:
    """Ask for a yes; anything else aborts the command."""
    typer.confirm(printable(question), abort=True, err=True)
