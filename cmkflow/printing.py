"""Print an answer in the format that `--output` and `--query` choose, in a pager if it is long."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.output import JmesPathQuery, OutputFormat, format_for_programs
from cmkflow.terminal import Terminal, echo

#: Options of less: quit on short texts, keep colours, do not clear the screen.
_LESS = "FRX"


NoPager = Annotated[bool, typer.Option("--no-pager", help="Do not use a pager for long output.")]


def print_text(renderable: RenderableType, *, is_paged: bool) -> None:
    """Print `renderable`, in a pager if it is longer than the terminal and `is_paged` is True."""
    console = Terminal()
    if not (is_paged and console.is_terminal and not console.is_dumb_terminal):
        console.print(renderable, crop=False)
        return
    with console.capture() as captured:
        console.print(renderable, crop=False)
    text = captured.get()
    if text.count("\n") < console.height or not _try_to_show_in_pager(text):
        console.file.write(text)


def _try_to_show_in_pager(text: str) -> bool:
    """Show a text in the pager. Returns False if there is no pager."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command == ["cat"]:
        return False
    try:
        pager = subprocess.Popen(  # noqa: S603  # the user who sets PAGER chooses this command
            command, stdin=subprocess.PIPE, text=True, env={"LESS": _LESS, **os.environ}
        )
    except OSError:
        return False
    # Ctrl-C goes to the pager, where it cancels a search.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pager.communicate(text)
    finally:
        signal.signal(signal.SIGINT, before)
    return True


class AnswerPrinter:
    """Prints the answers of one command: as text, or for programs.

    It is created before any request, so that a wrong option is reported first.
    """

    def __init__(self, output: OutputFormat, query: str | None, *, no_pager: bool) -> None:
        """Parse `--query`. Raises `BadParameter` if it is not valid."""
        self._query = None if query is None else JmesPathQuery(query)
        is_json = output is OutputFormat.TABLE and query is not None
        self._output = OutputFormat.JSON if is_json else output
        self._is_paged = not no_pager

    @property
    def is_for_people(self) -> bool:
        return self._output is OutputFormat.TABLE

    def format_for_programs(self, answer: Any) -> str:
        """Return an answer in the chosen format for programs."""
        return format_for_programs(
            self._query.apply(answer) if self._query else answer, self._output
        )

    def print(self, answer: Any, show: Callable[[], RenderableType]) -> None:
        """Print the text that `show` returns, or `answer` in the format for programs."""
        if self.is_for_people:
            print_text(show(), is_paged=self._is_paged)
        else:
            echo(self.format_for_programs(answer))
